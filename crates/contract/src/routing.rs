//! Finding the route of a request.

use crate::model::{Contract, Index, Method};

/// What a method and path lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteMatch<'p> {
    /// A route, and the ids in the path.
    Found {
        /// An index into [`Contract::routes`].
        route: Index,
        /// The webhook's id as it stands in the path.
        webhook: Option<&'p str>,
        /// The delivery's id as it stands in the path.
        delivery: Option<&'p str>,
    },
    /// The path knows only these methods.
    OtherMethods(Vec<Method>),
    /// No route has this path.
    Unknown,
}

impl Contract {
    /// Finds the route of a request. Literal segments win over ids; the path is taken as it came, undecoded, because
    /// no id of ours needs escapes. `HEAD` is the caller's to treat as `GET`.
    #[must_use]
    pub fn find_route<'p>(&self, method: &str, path: &'p str) -> RouteMatch<'p> {
        let _ = (method, path);
        unimplemented!()
    }
}
