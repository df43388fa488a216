//! The transport against receivers on real sockets: well-behaved, hostile and broken ones.

#[cfg(test)]
mod rig;

#[cfg(test)]
mod addresses;
#[cfg(test)]
mod answers;
#[cfg(test)]
mod damaged;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod late;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod name_servers;
#[cfg(test)]
mod pooling;
#[cfg(test)]
mod proxied;
#[cfg(test)]
mod tls;
