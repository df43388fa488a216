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

/// Routes with more segments are not looked at.
const SEGMENTS_MAX: usize = 16;

impl Contract {
    /// Finds the route of a request. Literal segments win over ids; the path is taken as it came, undecoded, because
    /// no id of ours needs escapes. `HEAD` is the caller's to treat as `GET`.
    #[must_use]
    pub fn find_route<'p>(&self, method: &str, path: &'p str) -> RouteMatch<'p> {
        let Some(relative) = path.strip_prefix('/') else { return RouteMatch::Unknown };
        // The most literal path wins, whatever the method: /webhooks/test is never a webhook called "test".
        let fitting = || self.routes.iter().enumerate().filter(|(_, route)| fits(&route.segments, relative));
        let Some(best) = fitting().map(|(_, route)| literals(route)).max() else {
            return RouteMatch::Unknown;
        };
        let best = || fitting().filter(|(_, route)| literals(route) == best);
        match best().find(|(_, route)| route.method.word() == method) {
            Some((index, route)) => {
                let id = |wanted: &Segment| {
                    let at = route.segments.iter().position(|segment| segment == wanted)?;
                    relative.split('/').nth(at)
                };
                let (webhook, delivery) = (id(&Segment::Webhook), id(&Segment::Delivery));
                RouteMatch::Found { route: index, webhook, delivery }
            }
            None => RouteMatch::OtherMethods(best().map(|(_, route)| route.method).collect()),
        }
    }
}

fn fits(segments: &[Segment], path: &str) -> bool {
    if segments.len() > SEGMENTS_MAX {
        return false;
    }
    let mut parts = path.split('/');
    let all_fit = segments.iter().all(|segment| match (segment, parts.next()) {
        (Segment::Literal(text), Some(part)) => text == part,
        (Segment::Webhook | Segment::Delivery, Some(part)) => !part.is_empty(),
        (_, None) => false,
    });
    all_fit && parts.next().is_none()
}

/// Which segments are literal, one bit each, the first counting most.
fn literals(route: &Route) -> u32 {
    let bits = route.segments.iter().map(|segment| u32::from(matches!(segment, Segment::Literal(_))));
    bits.fold(0, |all, bit| (all << 1) | bit)
}
