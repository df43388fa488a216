//! Which scope a route needs.

use posthaste_core::Scope;

/// A route as it is promised: what comes after [`super::PREFIX`], with names in braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteShown {
    /// The method; what takes `GET` takes `HEAD`.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// The scope that a token needs for it.
    pub needs: Scope,
}
