//! The way of a message through the real parts, over and over and always the same, for counting instructions.
//!
//! One thread, a stopped clock and seeded dice. The store is the one in memory with the real SQL: handing over to the
//! writer's thread and syncing are not in the counts. `cargo xtask instructions` runs this under callgrind and holds
//! what each of [`counted`]'s functions took against the figures in `bench/hot-path.toml`.

mod outside;
mod wire;

mod receiver;
mod scene;

mod held;

mod accepting;
mod delivering;
mod publishing;

mod counted;

use anyhow::ensure;

use accepting::{Accepting, Committing};
use delivering::Delivering;
use publishing::Publishing;

/// Rounds before counting begins: connections are made, statements prepared, buffers grown.
const ROUNDS_TO_WARM_UP: usize = 4;
/// Rounds that are counted.
const ROUNDS: usize = 32;

/// Everything that takes part.
struct HotPath {
    publishing: Publishing,
    accepting: Accepting,
    committing: Committing,
    delivering: Delivering,
}

fn main() -> anyhow::Result<()> {
    let mut path = HotPath::start()?;
    for _ in 0..ROUNDS_TO_WARM_UP {
        path.round()?;
    }
    for _ in 0..ROUNDS {
        path.counted_round()?;
    }
    ensure!(path.delivering.is_done(), "something is still owed");
    println!("{}", ROUNDS * scene::EVENTS_A_ROUND);
    Ok(())
}

impl HotPath {
    fn start() -> anyhow::Result<Self> {
        let contract = scene::contract()?;
        let (runtime, receiver) = delivering::receiver()?;
        let store = scene::store(&contract, receiver)?;
        let accepted = scene::store(&contract, receiver)?;
        let mut accepting = Accepting::new(contract.clone(), accepted.clone())?;
        accepting.round()?;
        Ok(Self {
            publishing: Publishing::start(&contract, store.clone())?,
            committing: Committing::new(scene::store(&contract, receiver)?, &accepted)?,
            accepting,
            delivering: Delivering::start(&contract, store, runtime)?,
        })
    }

    fn round(&mut self) -> anyhow::Result<()> {
        self.publishing.round()?;
        self.accepting.round()?;
        self.committing.round()?;
        self.delivering.fan_out()?;
        // A webhook begins with one attempt at a time.
        while self.delivering.claims() > 0 {
            self.delivering.sign()?;
            self.delivering.exchange()?;
            self.delivering.settle()?;
            self.delivering.record()?;
        }
        self.forget();
        Ok(())
    }

    /// The same, counted.
    fn counted_round(&mut self) -> anyhow::Result<()> {
        counted::counted_publish(&mut self.publishing)?;
        counted::counted_accept(&mut self.accepting)?;
        counted::counted_commit(&mut self.committing)?;
        counted::counted_fan_out(&mut self.delivering)?;
        let claims = self.delivering.claims();
        ensure!(claims == scene::EVENTS_A_ROUND, "{claims} claims");
        counted::counted_sign(&mut self.delivering)?;
        counted::counted_exchange(&mut self.delivering)?;
        counted::counted_settle(&mut self.delivering)?;
        counted::counted_record(&mut self.delivering)?;
        self.forget();
        Ok(())
    }

    fn forget(&self) {
        self.accepting.forget();
        self.committing.forget();
    }
}
