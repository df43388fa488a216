//! The contract as documents: OpenAPI, and a page a customer can read.

mod html;
mod page;
mod snippets;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use posthaste_contract::Contract;

/// The documents of a contract, written once.
#[derive(Debug, Clone)]
pub struct Docs {
    openapi: Bytes,
    page: Bytes,
}

impl Docs {
    /// Writes the documents. `server` is the address to show in examples where the contract names none.
    #[must_use]
    pub fn new(contract: &Contract, server: &str) -> Self {
        Self { openapi: contract.openapi().to_string().into(), page: page::write(contract, server).into() }
    }

    /// The contract as an OpenAPI 3.1 document.
    #[must_use]
    pub fn openapi(&self) -> Bytes {
        self.openapi.clone()
    }

    /// The contract as an HTML page.
    #[must_use]
    pub fn page(&self) -> Bytes {
        self.page.clone()
    }
}
