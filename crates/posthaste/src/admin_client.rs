//! Calls to the admin API.

use bytes::Bytes;
use http::{Method, Request};
use posthaste_core::Secret;
use serde_json::Value;

use crate::data_folder::{DataFolder, base_url};
use crate::failure::Failure;
use crate::http_client::{self, NoAnswer};
use crate::settings::{ClientSettings, DEFAULT_LISTEN};
use crate::trust::Trust;

/// A server's admin API and the token to call it with.
pub struct AdminClient {
    base: String,
    token: Secret,
    trust: Option<Trust>,
}

impl AdminClient {
    /// Calls the admin API at `base`, such as `http://127.0.0.1:8080`.
    #[must_use]
    pub fn new(base: impl Into<String>, token: Secret) -> Self {
        Self { base: base.into().trim_end_matches('/').to_owned(), token, trust: None }
    }

    /// The same, trusting other certificates than those of the web's authorities.
    #[must_use]
    pub fn trusting(self, trust: Trust) -> Self {
        Self { trust: Some(trust), ..self }
    }

    /// Finds the server and the token: as they were given, else from the data folder of a local server. The token
    /// in that folder is only ever sent to this machine.
    ///
    /// # Errors
    /// If there is nothing to be found.
    pub fn find(settings: &ClientSettings) -> Result<Self, Failure> {
        let folder = DataFolder::at(&settings.data);
        let (own_base, pin) = match folder.server() {
            Some(server) => server.admin_base(),
            None => (base_url(DEFAULT_LISTEN, false), None),
        };
        let base = settings.server.clone().unwrap_or_else(|| own_base.clone());
        let trust = match pin.filter(|_| base.trim_end_matches('/') == own_base) {
            Some(fingerprint) => Trust::pinned(fingerprint)?,
            None => Trust::roots(&settings.ca_files)?,
        };
        let token = match &settings.admin_token {
            Some(token) => Some(token.clone()),
            None if is_local(&base) => folder.token()?,
            None => None,
        };
        let token = token.ok_or_else(|| {
            Failure::unreachable(format!(
                "no admin token for {base}: start `posthaste serve`, name its folder with --data-dir (now {}), or give \
                 --token or POSTHASTE_ADMIN_TOKEN",
                folder.path().display()
            ))
        })?;
        Ok(Self::new(base, token).trusting(trust))
    }

    /// Reads.
    ///
    /// # Errors
    /// If there is no answer, or a refusal.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.call(Method::GET, path, None).await
    }

    /// Creates or does.
    ///
    /// # Errors
    /// If there is no answer, or a refusal.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.post_text(path, body.to_string(), "application/json").await
    }

    /// Creates or does, with a body that is ready.
    ///
    /// # Errors
    /// If there is no answer, or a refusal.
    pub async fn post_text(
        &self,
        path: &str,
        body: String,
        media_type: &'static str,
    ) -> Result<Value, Failure> {
        self.call(Method::POST, path, Some((body, media_type))).await
    }

    /// Deletes.
    ///
    /// # Errors
    /// If there is no answer, or a refusal.
    pub async fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.call(Method::DELETE, path, None).await
    }

    /// Reads a list to its end, or to `most` items.
    ///
    /// # Errors
    /// If there is no answer, or a refusal.
    pub async fn list(&self, path: &str, most: usize) -> Result<Vec<Value>, Failure> {
        const PAGE: usize = 100;
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let joint = if path.contains('?') { '&' } else { '?' };
            let size = PAGE.min(most - items.len());
            let mut page = self.get(&format!("{path}{joint}limit={size}{cursor}")).await?;
            let Some(Value::Array(more)) = page.get_mut("data").map(Value::take) else { return Ok(items) };
            items.extend(more);
            match page["next"].as_str() {
                Some(next) if items.len() < most => cursor = format!("&cursor={}", escaped(next)),
                _ => return Ok(items),
            }
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<(String, &'static str)>,
    ) -> Result<Value, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/admin/v1{path}", self.base))
            .header("authorization", format!("Bearer {}", self.token.expose_text()));
        let body = body.map_or_else(Bytes::new, |(text, media_type)| {
            if let Some(headers) = request.headers_mut() {
                headers.insert("content-type", http::HeaderValue::from_static(media_type));
            }
            Bytes::from(text)
        });
        let request = request
            .body(body)
            .map_err(|error| Failure::usage(format!("{} is no address of a server: {error}", self.base)))?;
        let answer = http_client::send_trusting(self.trust.as_ref(), request)
            .await
            .map_err(|error| no_answer(&error))?;
        let value = serde_json::from_slice(answer.body()).unwrap_or(Value::Null);
        match answer.status().is_success() {
            true => Ok(value),
            false => Err(self.refusal(answer.status().as_u16(), &value)),
        }
    }

    fn refusal(&self, status: u16, problem: &Value) -> Failure {
        if status == 401 {
            return Failure::refused(format!("{} does not accept the admin token", self.base));
        }
        let words = ["detail", "title"].iter().find_map(|member| problem[*member].as_str());
        let mut sentence = match words {
            Some(words) => words.to_owned(),
            None => format!("{} answers {status}", self.base),
        };
        for fault in problem["errors"].as_array().into_iter().flatten() {
            let part = |member: &str| fault[member].as_str().unwrap_or_default();
            sentence.push_str(&format!("\n  {} {}", part("pointer"), part("detail")));
        }
        Failure::refused(sentence)
    }
}

fn no_answer(error: &NoAnswer) -> Failure {
    match error {
        NoAnswer::Address(_) => Failure::usage(error.to_string()),
        NoAnswer::Connect(..) => {
            Failure::unreachable(format!("{error}; is `posthaste serve` running there?"))
        }
        NoAnswer::Tls(..) => {
            Failure::unreachable(format!("{error}; --ca-file names the roots that its certificate is from"))
        }
        NoAnswer::Broken(..) => Failure::unreachable(error.to_string()),
    }
}

/// A text as one segment of a path or value of a query.
#[must_use]
pub fn escaped(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes()
        .map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn is_local(base: &str) -> bool {
    let Ok(uri) = base.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_gets_the_token_of_the_folder() {
        for (base, expected) in [
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080", true),
            ("http://localhost:1", true),
            ("https://127.0.0.1:8443", true),
            ("https://203.0.113.9", false),
            ("http://localhost.example.com", false),
            ("http://203.0.113.9:8080", false),
        ] {
            assert_eq!(is_local(base), expected, "{base}");
        }
    }

    #[test]
    fn ids_cannot_leave_their_segment() {
        assert_eq!(escaped("a/../b?c=é"), "a%2F..%2Fb%3Fc%3D%C3%A9");
    }
}
