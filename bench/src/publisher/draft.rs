//! The requests of one connection, each written over the one before, so that none costs an allocation.

use std::io::Write as _;

use super::Options;
use crate::clock;
use crate::payload::append_filled;

/// A request and what stays the same from one to the next.
pub struct Draft {
    head: Vec<u8>,
    event_begin: Vec<u8>,
    events: u64,
    data_bytes: usize,
    body: Vec<u8>,
    request: Vec<u8>,
}

impl Draft {
    pub fn new(options: &Options) -> Self {
        let path = if options.batch == 1 { "/admin/v1/events" } else { "/admin/v1/events/batch" };
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: ",
            options.server, options.token,
        );
        let event_begin = match &options.account {
            Some(account) => format!(r#"{{"type":"bench.event","account":"{account}","data":"#),
            None => r#"{"type":"bench.event","broadcast":true,"data":"#.to_owned(),
        };
        Self {
            head: head.into_bytes(),
            event_begin: event_begin.into_bytes(),
            events: options.batch.into(),
            data_bytes: options.data_bytes,
            body: Vec::new(),
            request: Vec::new(),
        }
    }

    /// The whole request, made now, its events numbered from `first_number`.
    pub fn write(&mut self, first_number: u64) -> &[u8] {
        self.body.clear();
        match self.events {
            1 => self.event(first_number),
            many => {
                self.body.push(b'[');
                for number in first_number..first_number.saturating_add(many) {
                    if number > first_number {
                        self.body.push(b',');
                    }
                    self.event(number);
                }
                self.body.push(b']');
            }
        }
        self.request.clear();
        self.request.extend_from_slice(&self.head);
        // Writing to a `Vec` cannot fail.
        let _ = write!(self.request, "{}\r\n\r\n", self.body.len());
        self.request.extend_from_slice(&self.body);
        &self.request
    }

    fn event(&mut self, number: u64) {
        self.body.extend_from_slice(&self.event_begin);
        append_filled(&mut self.body, clock::unix_us(), number, self.data_bytes);
        self.body.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::Value;

    use super::*;
    use crate::request::first;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn body_of(args: &[&str], number: u64) -> (String, Value) {
        let args = [&["publish", "--server", "127.0.0.1:80", "--token", "t"], args].concat();
        let mut draft = Draft::new(&Line::parse_from(args).options);
        draft.write(1);
        let request = draft.write(number);
        let message = first(request).unwrap().unwrap();
        assert_eq!(message.body.end, request.len());
        let head = String::from_utf8(request[..message.body.start].to_vec()).unwrap();
        (head, serde_json::from_slice(&request[message.body]).unwrap())
    }

    #[test]
    fn one_event_or_many_are_numbered() {
        let (head, body) = body_of(&["--account", "a"], 7);
        assert!(head.starts_with("POST /admin/v1/events HTTP/1.1\r\nHost: 127.0.0.1:80\r\n"), "{head}");
        assert!(head.contains("\r\nAuthorization: Bearer t\r\n"), "{head}");
        assert_eq!((&body["type"], &body["account"]), (&"bench.event".into(), &"a".into()));
        assert_eq!((&body["data"]["n"], body["data"].to_string().len()), (&7.into(), 300));
        let (head, body) = body_of(&["--batch", "3"], 30);
        assert!(head.starts_with("POST /admin/v1/events/batch HTTP/1.1\r\n"), "{head}");
        let numbers: Vec<&Value> = body.as_array().unwrap().iter().map(|event| &event["data"]["n"]).collect();
        assert_eq!(numbers, [30, 31, 32]);
        assert_eq!(body[0]["broadcast"], true);
    }
}
