//! Lists of byte strings in one column: each with its length in four bytes before it.

use std::collections::BTreeMap;

use posthaste_core::{Secret, SigningSecrets, Subscription, UnixMs};

/// Puts one item behind the others.
pub(crate) fn push_item(list: &mut Vec<u8>, item: &[u8]) {
    // Items beyond 4 GiB cannot come in: every body and header is bounded far below.
    let length = u32::try_from(item.len()).unwrap_or(u32::MAX);
    list.extend_from_slice(&length.to_le_bytes());
    list.extend_from_slice(&item[..item.len().min(length as usize)]);
}

/// The items in order; `None` if the bytes are no list.
pub(crate) fn items(mut list: &[u8]) -> Option<Vec<&[u8]>> {
    let mut items = Vec::new();
    while !list.is_empty() {
        let (length, rest) = list.split_first_chunk::<4>()?;
        let (item, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        items.push(item);
        list = rest;
    }
    Some(items)
}

pub(crate) fn pack_texts(texts: &[String]) -> Vec<u8> {
    let mut list = Vec::new();
    texts.iter().for_each(|text| push_item(&mut list, text.as_bytes()));
    list
}

pub(crate) fn read_texts(list: &[u8]) -> Option<Vec<String>> {
    items(list)?.into_iter().map(|item| String::from_utf8(item.to_vec()).ok()).collect()
}

pub(crate) fn pack_headers(headers: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut list = Vec::new();
    for (name, value) in headers {
        push_item(&mut list, name.as_bytes());
        push_item(&mut list, value);
    }
    list
}

pub(crate) fn read_headers(list: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let items = items(list)?;
    let pairs = items.chunks(2).map(|pair| match pair {
        [name, value] => Some((String::from_utf8(name.to_vec()).ok()?, value.to_vec())),
        _ => None,
    });
    pairs.collect()
}

/// The current secret, then each former one after the time until which it signs.
pub(crate) fn pack_secrets(secrets: &SigningSecrets) -> Secret {
    let mut list = Vec::with_capacity(256);
    push_item(&mut list, secrets.current.expose());
    for (secret, until) in &secrets.previous {
        push_item(&mut list, &until.0.to_le_bytes());
        push_item(&mut list, secret.expose());
    }
    Secret::new(list)
}

pub(crate) fn read_secrets(packed: &Secret) -> Option<SigningSecrets> {
    let items = items(packed.expose())?;
    let (current, former) = items.split_first()?;
    let previous = former.chunks(2).map(|pair| match pair {
        [until, secret] => {
            let until = UnixMs(i64::from_le_bytes((*until).try_into().ok()?));
            Some((Secret::new(secret.to_vec()), until))
        }
        _ => None,
    });
    Some(SigningSecrets {
        current: Secret::new(current.to_vec()),
        previous: previous.collect::<Option<Vec<_>>>()?,
    })
}

pub(crate) fn pack_list(texts: &[String]) -> String {
    serde_json::Value::from(texts).to_string()
}

pub(crate) fn read_list(json: &str) -> Option<Vec<String>> {
    serde_json::from_str(json).ok()
}

pub(crate) fn pack_map(fields: &BTreeMap<String, String>) -> String {
    let map: serde_json::Map<_, _> =
        fields.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    serde_json::Value::Object(map).to_string()
}

pub(crate) fn read_map(json: &str) -> Option<BTreeMap<String, String>> {
    serde_json::from_str(json).ok()
}

/// `null` for every type, else the list of patterns.
pub(crate) fn pack_subscription(subscription: &Subscription) -> String {
    match subscription {
        Subscription::All => "null".to_owned(),
        Subscription::Patterns(patterns) => pack_list(patterns),
    }
}

pub(crate) fn read_subscription(json: &str) -> Option<Subscription> {
    let patterns: Option<Vec<String>> = serde_json::from_str(json).ok()?;
    Some(patterns.map_or(Subscription::All, Subscription::Patterns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_back_as_they_went_in() {
        let headers = vec![
            ("Retry-After".to_owned(), b"5".to_vec()),
            (String::new(), vec![]),
            ("X".into(), vec![0xff, 0]),
        ];
        assert_eq!(read_headers(&pack_headers(&headers)), Some(headers));
        let texts = vec!["v1,abc=".to_owned(), "é".to_owned(), String::new()];
        assert_eq!(read_texts(&pack_texts(&texts)), Some(texts.clone()));
        assert_eq!(read_list(&pack_list(&texts)), Some(texts.clone()));
        for subscription in [Subscription::All, Subscription::Patterns(vec![]), Subscription::Patterns(texts)]
        {
            assert_eq!(read_subscription(&pack_subscription(&subscription)), Some(subscription));
        }
    }

    #[test]
    fn cut_lists_are_refused() {
        let list = pack_headers(&[("A".to_owned(), b"b".to_vec())]);
        for end in 1..list.len() {
            assert_eq!(read_headers(&list[..end]), None, "{end}");
        }
    }

    #[test]
    fn secrets_come_back_with_their_times() {
        let secrets = SigningSecrets {
            current: Secret::from("new".to_owned()),
            previous: vec![
                (Secret::from("old".to_owned()), UnixMs(5)),
                (Secret::from(String::new()), UnixMs(-1)),
            ],
        };
        assert!(read_secrets(&pack_secrets(&secrets)) == Some(secrets));
        assert!(read_secrets(&Secret::new(vec![])).is_none());
    }
}
