//! Contracts from the outside: files in, documents and headers out.

#[cfg(test)]
mod support;

#[cfg(test)]
mod builtin;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod example;
#[cfg(test)]
mod inputs;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod payloads;
#[cfg(test)]
mod robustness;
#[cfg(test)]
mod signatures;
