//! The contract as OpenAPI 3.1.

use crate::model::Contract;

impl Contract {
    /// The contract as an OpenAPI 3.1 document.
    #[must_use]
    pub fn openapi(&self) -> serde_json::Value {
        unimplemented!()
    }
}
