//! What holds when a thousand ask at one time, over real sockets and a real store on real threads.

mod accounts;
mod idempotency;
mod limits;
mod replays;
mod revocation;
mod urls;

use std::net::SocketAddr;
use std::sync::Arc;

use posthaste_contract::Contract;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Barrier;

use crate::rig::{Reply, exchange, read};

/// Tries in each race.
const TRIES: usize = 1_000;
/// Connections that stand ready when the race begins; each sends its share of the tries. With the server's side of
/// them they stay below the usual limit of open files.
const AT_ONCE: usize = 400;

/// Sends all of these, as nearly at one time as can be; answers in the order of the requests.
async fn all_at_once(address: SocketAddr, requests: Vec<Vec<u8>>) -> Vec<Reply> {
    let lanes = AT_ONCE.min(requests.len());
    let start = Arc::new(Barrier::new(lanes));
    let requests = Arc::new(requests);
    let running: Vec<_> = (0..lanes)
        .map(|lane| tokio::spawn(share(address, requests.clone(), lane, lanes, start.clone())))
        .collect();
    let mut answers: Vec<Option<Reply>> = requests.iter().map(|_| None).collect();
    for lane in running {
        for (number, reply) in lane.await.unwrap() {
            answers[number] = Some(reply);
        }
    }
    answers.into_iter().map(Option::unwrap).collect()
}

/// Every request of one lane; the first waits on an open connection for all lanes to be ready.
async fn share(
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    lane: usize,
    lanes: usize,
    start: Arc<Barrier>,
) -> Vec<(usize, Reply)> {
    let mut answers = Vec::new();
    let mut first = TcpStream::connect(address).await.unwrap();
    start.wait().await;
    first.write_all(&requests[lane]).await.unwrap();
    answers.push((lane, read(&mut first).await));
    for number in (lane + lanes..requests.len()).step_by(lanes) {
        answers.push((number, exchange(address, &requests[number]).await));
    }
    answers
}

/// A built-in contract that takes as many requests as come: what is raced for is not the rate.
fn unhurried(contract: &str) -> Contract {
    let mut contract = Contract::builtin(contract).unwrap();
    contract.routes.iter_mut().for_each(|route| route.rates.clear());
    contract
}

fn with_status(answers: &[Reply], status: u16) -> usize {
    answers.iter().filter(|reply| reply.status == status).count()
}
