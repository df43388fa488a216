//! Who was let in.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use posthaste_core::{Actor, By};

use super::problem::Problem;
use super::state::Admin;
use crate::client_address::ClientAddress;

/// The id of a request, as it travels among its extensions.
#[derive(Clone)]
pub(crate) struct RequestId(pub Arc<str>);

/// Who was let in, by which request and from where: what the audit log tells of a change.
#[derive(Clone)]
pub(crate) struct Caller {
    pub actor: Actor,
    pub request_id: Option<Arc<str>>,
    pub client: ClientAddress,
}

impl Caller {
    /// As the store wants to know it of a change that is made now.
    pub fn by(self, admin: &Admin) -> By {
        By {
            at: admin.clock.now(),
            actor: self.actor,
            request_id: self.request_id,
            address: self.client.known(),
            object: None,
        }
    }
}

impl FromRequestParts<Arc<Admin>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Admin>) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(Problem::unauthorized)
    }
}
