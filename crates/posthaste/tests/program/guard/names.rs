//! A name server that says what the test tells it to.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

#[path = "../../../../net/tests/sockets/rig/zone.rs"]
#[expect(dead_code, reason = "the name server of another test, used in part")]
mod zone;

use zone::{Question, Zone, alias, records};

/// Answers every question with what was last given; a name that is an address followed by `.nip.io` with that one.
pub struct Names {
    pub address: SocketAddr,
    said: Arc<Mutex<Said>>,
    _zone: Zone,
}

/// Addresses, and the name they are said to belong to if it is another one than was asked for.
#[derive(Default)]
struct Said {
    addresses: Vec<String>,
    alias: Option<String>,
}

impl Names {
    pub async fn saying(addresses: &[&str]) -> Self {
        let said = Arc::<Mutex<Said>>::default();
        let saying = said.clone();
        let zone = Zone::start(move |question| vec![saying.lock().unwrap().answer(question)]).await;
        let names = Self { address: zone.address, said, _zone: zone };
        names.say(addresses);
        names
    }

    pub fn say(&self, addresses: &[&str]) {
        self.say_of(None, addresses);
    }

    /// Whatever is asked for is an alias of this name, and that one has the addresses.
    pub fn say_of(&self, alias: Option<&str>, addresses: &[&str]) {
        let addresses = addresses.iter().map(|&address| address.to_owned()).collect();
        *self.said.lock().unwrap() = Said { addresses, alias: alias.map(str::to_owned) };
    }
}

impl Said {
    fn answer(&self, question: &Question) -> Vec<u8> {
        let of_itself = question.name.strip_suffix(".nip.io").filter(|ip| ip.parse::<IpAddr>().is_ok());
        if let Some(ip) = of_itself {
            return question.addresses(&[ip]);
        }
        let addresses: Vec<&str> = self.addresses.iter().map(String::as_str).collect();
        let Some(name) = &self.alias else { return question.addresses(&addresses) };
        let link = vec![alias(&question.name, name)];
        question.answer(&[link, records(name, question.kind, &addresses)].concat())
    }
}
