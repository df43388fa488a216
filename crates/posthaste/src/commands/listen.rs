//! `listen`: a local receiver.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use clap::Args;
use http::uri::Scheme;
use http::{Request, StatusCode, Uri};
use posthaste_contract::Contract;
use posthaste_core::{Clock as _, Secret};

use crate::certificate::Identity;
use crate::contract_file;
use crate::failure::{Exit, Failure};
use crate::http_client;
use crate::output::{Output, note};
use crate::outside::SystemClock;
use crate::receiver::{Arrival, Receiver, Reply};
use crate::signals::EndSignals;
use crate::verdict::{Verdict, pretty};

/// What `listen` is told.
#[derive(Args)]
pub struct Listen {
    /// Where to listen
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// The contract whose deliveries come
    #[arg(long, value_name = "NAME|FILE", default_value = "standard")]
    contract: String,
    /// The webhook's signing secret, to check signatures with
    #[arg(long)]
    secret: Option<String>,
    /// The webhook's URL as registered, for contracts that sign it
    #[arg(long)]
    url: Option<String>,
    /// The status code to answer with
    #[arg(long, default_value = "200")]
    status: StatusCode,
    /// Passes each delivery on to this http:// address and answers what comes from there
    #[arg(long, value_name = "URL")]
    forward: Option<String>,
    /// Speaks HTTPS, with a certificate for this host name (repeatable)
    #[arg(long, value_name = "HOST")]
    https: Vec<String>,
    /// Where to write the authority of that certificate, for `serve --ca-file`
    #[arg(long, value_name = "PEM", requires = "https")]
    ca_out: Option<PathBuf>,
}

impl Listen {
    /// Receives until the process is told to stop.
    ///
    /// # Errors
    /// If it cannot listen.
    pub async fn run(self, json: bool) -> Result<Exit, Failure> {
        let contract = contract_file::load(&self.contract)?.contract;
        self.check(&contract)?;
        let mut end = EndSignals::new()?;
        let identity = self.identity()?;
        let scheme = if identity.is_some() { "https" } else { "http" };
        let receiver = Receiver::bind(self.listen, identity.map(|identity| identity.server)).await;
        let receiver = receiver
            .map_err(|error| Failure::refused(format!("cannot listen on {}: {error}", self.listen)))?;
        note(format!("receiving on {scheme}://{}", receiver.address));
        let base = format!("{scheme}://{}", receiver.address);
        let desk = Arc::new(Desk {
            contract,
            secret: self.secret.map(Secret::from),
            url: self.url,
            base,
            status: self.status,
            forward: self.forward,
            output: Output::new(json),
        });
        let running = receiver.run(Arc::new(move |arrival| {
            let desk = desk.clone();
            Box::pin(async move { desk.take(arrival).await })
        }));
        tokio::select! {
            () = running => {}
            () = end.wait() => {}
        }
        Ok(Exit::Done)
    }

    /// What would go wrong with every delivery is said before the first.
    fn check(&self, contract: &Contract) -> Result<(), Failure> {
        let forward = self.forward.as_deref().unwrap_or("http://127.0.0.1/");
        let is_http = forward.parse::<Uri>().is_ok_and(|uri| uri.scheme() == Some(&Scheme::HTTP));
        if !is_http {
            return Err(Failure::usage(format!("--forward is `{forward}`, which is no http:// address")));
        }
        if self.secret.as_deref().is_some_and(|secret| !contract.is_secret(secret)) {
            let name = &self.contract;
            return Err(Failure::usage(format!("--secret is no signing secret of the contract {name}")));
        }
        Ok(())
    }

    fn identity(&self) -> Result<Option<Identity>, Failure> {
        if self.https.is_empty() {
            return Ok(None);
        }
        let names: Vec<&str> = self.https.iter().map(String::as_str).collect();
        let identity = Identity::for_names(&names).map_err(|fault| Failure::usage(fault.to_string()))?;
        if let Some(file) = &self.ca_out {
            std::fs::write(file, &identity.authority_pem).map_err(|error| {
                Failure::refused(format!("{} cannot be written: {error}", file.display()))
            })?;
        }
        Ok(Some(identity))
    }
}

/// Where deliveries are looked at.
struct Desk {
    contract: Contract,
    secret: Option<Secret>,
    url: Option<String>,
    base: String,
    status: StatusCode,
    forward: Option<String>,
    output: Output,
}

impl Desk {
    async fn take(&self, arrival: Arrival) -> Reply {
        let url = self.url.clone().unwrap_or_else(|| format!("{}{}", self.base, arrival.target));
        let now = SystemClock.now();
        let verdict = Verdict::of(&arrival, &self.contract, self.secret.as_ref(), &url, now);
        let reply = match &self.forward {
            Some(base) => forward(base, &arrival).await,
            None => Reply::empty(self.status),
        };
        let status = reply.status.as_u16();
        let of = |part: &Option<String>| part.clone().unwrap_or_else(|| "?".to_owned());
        let sentence = format!(
            "{}  {} {}  {}  answered {status}\n{}",
            now.rfc3339(),
            of(&verdict.event_type),
            of(&verdict.event_id),
            verdict.words(),
            pretty(&arrival)
        );
        self.output.answer(sentence, &verdict.to_json(&arrival, status));
        reply
    }
}

/// Passes a delivery on as it came; a receiver that cannot be reached is a 502.
async fn forward(base: &str, arrival: &Arrival) -> Reply {
    let mut request = Request::builder().method(arrival.method.as_str()).uri(base);
    for (name, value) in &arrival.headers {
        // Those that frame the message are made anew.
        if !matches!(name.as_str(), "host" | "content-length" | "transfer-encoding" | "connection") {
            request = request.header(name, value);
        }
    }
    let answer = match request.body(arrival.body.clone()) {
        Ok(request) => http_client::send(request).await.map_err(|fault| fault.to_string()),
        Err(fault) => Err(fault.to_string()),
    };
    match answer {
        Ok(answer) => Reply { status: answer.status(), body: answer.into_body() },
        Err(why) => {
            note(format!("cannot forward: {why}"));
            Reply { status: StatusCode::BAD_GATEWAY, body: Bytes::new() }
        }
    }
}
