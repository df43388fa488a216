//! Finding the route of a request.

use crate::model::{Contract, Index, Method, Route, Segment};

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

/// The most segments of a path that is looked at.
const SEGMENTS_MAX: usize = 16;

impl Contract {
    /// Finds the route of a request. Literal segments win over ids; the path is taken as it came, undecoded, because
    /// no id of ours needs escapes. `HEAD` is the caller's to treat as `GET`.
    #[must_use]
    pub fn find_route<'p>(&self, method: &str, path: &'p str) -> RouteMatch<'p> {
        let Some(relative) = path.strip_prefix('/') else { return RouteMatch::Unknown };
        let parts: Vec<&str> = relative.split('/').take(SEGMENTS_MAX + 1).collect();
        let fitting = |route: &&(Index, &Route)| fits(&route.1.segments, &parts);
        let routes: Vec<(Index, &Route)> = self.routes.iter().enumerate().collect();
        // The most literal path wins, whatever the method: /webhooks/test is never a webhook called "test".
        let Some(best) = routes.iter().filter(fitting).map(|(_, route)| literals(route)).max() else {
            return RouteMatch::Unknown;
        };
        let mut methods = Vec::new();
        for (index, route) in routes.iter().filter(fitting).filter(|(_, route)| literals(route) == best) {
            if route.method.word() == method {
                let id =
                    |wanted: &Segment| route.segments.iter().position(|s| s == wanted).map(|at| parts[at]);
                let (webhook, delivery) = (id(&Segment::Webhook), id(&Segment::Delivery));
                return RouteMatch::Found { route: *index, webhook, delivery };
            }
            methods.push(route.method);
        }
        RouteMatch::OtherMethods(methods)
    }
}

fn fits(segments: &[Segment], parts: &[&str]) -> bool {
    let fits = |(segment, part): (&Segment, &&str)| match segment {
        Segment::Literal(text) => text == part,
        Segment::Webhook | Segment::Delivery => !part.is_empty(),
    };
    segments.len() == parts.len() && segments.iter().zip(parts).all(fits)
}

/// Which segments are literal, the first counting most.
fn literals(route: &Route) -> Vec<bool> {
    route.segments.iter().map(|segment| matches!(segment, Segment::Literal(_))).collect()
}
