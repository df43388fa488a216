//! The files of the data folder that are not the store's: the admin token, and where the server is.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use posthaste_core::{Dice, Secret};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Where a running server is, for the commands that look for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFile {
    /// Where the public API listens.
    pub public: SocketAddr,
    /// Where the admin API listens.
    pub admin: SocketAddr,
    /// The contract's name.
    pub contract: String,
    /// The server's process.
    pub process_id: u32,
    /// The SHA-256 of the certificate that the public API shows, in hexadecimal digits; absent where it speaks plain
    /// HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_certificate: Option<String>,
    /// The same of the admin API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_certificate: Option<String>,
}

impl ServerFile {
    /// Where the admin API is for clients on this machine, and which certificate it shows if it speaks TLS.
    #[must_use]
    pub fn admin_base(&self) -> (String, Option<[u8; 32]>) {
        base(self.admin, self.admin_certificate.as_deref())
    }

    /// The same of the public API.
    #[must_use]
    pub fn public_base(&self) -> (String, Option<[u8; 32]>) {
        base(self.public, self.public_certificate.as_deref())
    }
}

fn base(address: SocketAddr, certificate: Option<&str>) -> (String, Option<[u8; 32]>) {
    let fingerprint = certificate.map(|digits| fingerprint_of(digits).unwrap_or_default());
    (base_url(address, fingerprint.is_some()), fingerprint)
}

/// Reads 64 hexadecimal digits.
fn fingerprint_of(digits: &str) -> Option<[u8; 32]> {
    let mut fingerprint = [0; 32];
    for (at, byte) in fingerprint.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(fingerprint)
}

/// A listener's URL as clients on the same machine reach it.
#[must_use]
pub fn base_url(address: SocketAddr, is_tls: bool) -> String {
    format!("{}://{}", if is_tls { "https" } else { "http" }, reachable(address))
}

/// A listener's address as clients on the same machine reach it.
#[must_use]
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    (ip, address.port()).into()
}

/// The data folder of a server.
#[derive(Debug, Clone)]
pub struct DataFolder(PathBuf);

const TOKEN_FILE: &str = "admin.token";
const MASTER_KEY_FILE: &str = "master.key";
const SERVER_FILE: &str = "server.json";
const TOKEN_BYTES: usize = 32;

impl DataFolder {
    /// The folder at a path, whether it is there or not.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the folder, for the owner alone, if it is absent.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn make(&self) -> Result<(), Failure> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.map_err(|error| self.fault("the data folder", "made", &error))
    }

    /// What everybody on this machine can read and should not: the folder, the file of the master key in it.
    #[must_use]
    pub fn readable_by_all(&self) -> Vec<(PathBuf, &'static str)> {
        let places = [(self.0.clone(), "the data folder"), (self.0.join(MASTER_KEY_FILE), "the master key")];
        let is_readable =
            |path: &Path| std::fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o004 != 0);
        places.into_iter().filter(|(path, _)| is_readable(path)).collect()
    }

    /// The admin token in the folder, if there is one.
    ///
    /// # Errors
    /// If the file is there and cannot be read, or is no token.
    pub fn token(&self) -> Result<Option<Secret>, Failure> {
        let path = self.0.join(TOKEN_FILE);
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fault(&path, "read", &error)),
        };
        let token = text.trim();
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::refused(format!(
                "the admin token in {} is no text of visible ASCII characters; delete the file and a new one is made",
                path.display()
            )));
        }
        if token.len() < crate::settings::TOKEN_MIN_CHARS {
            return Err(Failure::refused(format!(
                "the admin token in {} is shorter than {} characters; delete the file and a new one is made",
                path.display(),
                crate::settings::TOKEN_MIN_CHARS
            )));
        }
        Ok(Some(Secret::from(token.to_owned())))
    }

    /// The admin token in the folder; made if there is none.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn token_or_new(&self, dice: &dyn Dice) -> Result<Secret, Failure> {
        if let Some(token) = self.token()? {
            return Ok(token);
        }
        let mut bytes = [0; TOKEN_BYTES];
        dice.fill(&mut bytes);
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.write(TOKEN_FILE, format!("{text}\n").as_bytes())?;
        Ok(Secret::from(text))
    }

    /// Where the server that uses the folder is, if one runs or was killed.
    #[must_use]
    pub fn server(&self) -> Option<ServerFile> {
        serde_json::from_slice(&std::fs::read(self.0.join(SERVER_FILE)).ok()?).ok()
    }

    /// Says where the server is.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn announce(&self, server: &ServerFile) -> Result<(), Failure> {
        let text = serde_json::to_vec(server).map_err(|error| Failure::refused(error.to_string()))?;
        self.write(SERVER_FILE, &text)
    }

    /// Says that no server is there any more.
    pub fn withdraw(&self) {
        let _ = std::fs::remove_file(self.0.join(SERVER_FILE));
    }

    /// Copies the file of the master key to a new file for the owner alone. Once this returns the copy stays: it may soon
    /// be the only one.
    ///
    /// # Errors
    /// If there is no such file, or the new one is there already or cannot be written; then nothing is left of it.
    pub fn copy_master_key(&self, to: &Path) -> Result<(), Failure> {
        let key = self.master_key()?;
        let mut options = std::fs::OpenOptions::new();
        let made = options.create_new(true).write(true).mode(0o600).open(to);
        let mut file = made.map_err(|error| fault(to, "written", &error))?;
        let holder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let copied = file
            .write_all(&key)
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::File::open(holder)?.sync_all());
        copied.map_err(|error| {
            let _ = std::fs::remove_file(to);
            fault(to, "written", &error)
        })
    }

    /// Does a file hold what the file of the master key holds now? Not if either cannot be read.
    #[must_use]
    pub fn is_master_key(&self, copy: &Path) -> bool {
        let copy = std::fs::read(copy).map(zeroize::Zeroizing::new);
        matches!((self.master_key(), copy), (Ok(key), Ok(copy)) if key == copy)
    }

    fn master_key(&self) -> Result<zeroize::Zeroizing<Vec<u8>>, Failure> {
        let file = self.0.join(MASTER_KEY_FILE);
        std::fs::read(&file).map(zeroize::Zeroizing::new).map_err(|error| fault(&file, "read", &error))
    }

    /// Writes a file for the owner alone; whoever reads it sees the old or the new, never half of it, and once this
    /// returns the new one stays: a token that was shown must not be another after a power failure.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.0.join(name);
        let beside = self.0.join(format!("{name}.new"));
        let written = || {
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.create(true).write(true).truncate(true).mode(0o600).open(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&beside, &path)?;
            std::fs::File::open(&self.0)?.sync_all()
        };
        written().map_err(|error| fault(&path, "written", &error))
    }

    fn fault(&self, what: &str, done: &str, error: &std::io::Error) -> Failure {
        Failure::refused(format!("{what} {} cannot be {done}: {error}", self.0.display()))
    }
}

fn fault(path: &Path, done: &str, error: &std::io::Error) -> Failure {
    Failure::refused(format!("{} cannot be {done}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::SystemDice;

    #[test]
    fn the_token_is_made_once_and_for_the_owner_alone() {
        let outside = tempfile::tempdir().unwrap();
        let folder = DataFolder::at(outside.path().join("data"));
        folder.make().unwrap();
        assert!(folder.token().unwrap().is_none());
        let token = folder.token_or_new(&SystemDice::default()).unwrap();
        assert_eq!(token.expose().len(), 64);
        assert!(folder.token_or_new(&SystemDice::default()).unwrap() == token);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(folder.path()), 0o700);
        assert_eq!(mode(&folder.path().join("admin.token")), 0o600);
    }

    #[test]
    fn what_is_no_token_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        for (bytes, why) in [
            (&b"0123456789\n"[..], "shorter than 32"),
            (b"", "shorter than 32"),
            (&[0; 64], "no text"),
            (&[0xff; 64], "no text"),
            ("\u{e4}".repeat(40).as_bytes(), "no text"),
            (b"0123456789 0123456789 0123456789 0123456789", "no text"),
            (b"0123456789012345678901234567890\x070123456789", "no text"),
        ] {
            std::fs::write(folder.path().join("admin.token"), bytes).unwrap();
            let failure = DataFolder::at(folder.path()).token().err().unwrap();
            assert!(failure.sentence.contains(why) && failure.sentence.contains("admin.token"), "{failure}");
        }
    }

    #[test]
    fn what_others_may_read_is_told() {
        use std::fs::{Permissions, set_permissions};
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("master.key"), "").unwrap();
        for (folder_mode, key_mode, told) in
            [(0o700, 0o600, 0), (0o750, 0o640, 0), (0o755, 0o600, 1), (0o700, 0o644, 1), (0o755, 0o644, 2)]
        {
            set_permissions(folder.path().join("master.key"), Permissions::from_mode(key_mode)).unwrap();
            set_permissions(folder.path(), Permissions::from_mode(folder_mode)).unwrap();
            assert_eq!(
                DataFolder::at(folder.path()).readable_by_all().len(),
                told,
                "{folder_mode:o} {key_mode:o}"
            );
        }
    }
}
