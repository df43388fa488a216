//! Answers as bytes, less what may differ from request to request.

use crate::rig::Reply;

/// Headers that name the request or the moment.
const OF_THE_REQUEST: [&str; 3] = ["x-request-id", "date", "x-ratelimit-reset"];

/// Status, headers and body; the request's id is the same in all of them.
pub fn bytes(reply: &Reply) -> String {
    let id = reply.header("x-request-id").expect("every answer names its request");
    let mut told = format!("{}\n", reply.status);
    for (name, value) in reply.headers.iter().filter(|(name, _)| !OF_THE_REQUEST.contains(&name.as_str())) {
        told += &format!("{name}: {value}\n");
    }
    told + "\n" + &reply.body.replace(id, "REQUEST")
}

/// Status and body alone: a path that is no route's is answered before anybody asks who is calling.
pub fn status_and_body(reply: &Reply) -> String {
    let id = reply.header("x-request-id").expect("every answer names its request");
    format!("{}\n\n{}", reply.status, reply.body.replace(id, "REQUEST"))
}
