//! Types that hold secrets cannot be printed, serialised or turned into text by mistake.

use std::fmt::{Debug, Display};
use std::marker::PhantomData;
use std::ops::Deref;

use posthaste::admin_client::AdminClient;
use posthaste::settings::{ClientSettings, Given, Layers, ServerSettings};
use posthaste_contract::NewApiKey;
use posthaste_core::{ApiKey, Secret, SigningSecrets, Webhook};
use posthaste_store::{MasterKey, MasterKeys, NewKey, NewWebhook, Rotation, WebhookPatch};
use serde::Serialize;

/// What is said of a type that does not have the trait.
trait Absent {
    const _IS_THERE: bool = false;
}

impl<T> Absent for T {}

/// Does a type have a trait? The compiler takes the probe's own constant where its bound is met.
macro_rules! has {
    ($type:ty, $($bound:tt)+) => {{
        struct Probe<T>(PhantomData<T>);
        impl<T: $($bound)+> Probe<T> {
            const _IS_THERE: bool = true;
        }
        let _ = Probe::<$type>(PhantomData).0;
        Probe::<$type>::_IS_THERE
    }};
}

macro_rules! rows {
    ($($type:ty),* $(,)?) => {
        [$(
            (stringify!($type), "Debug", has!($type, Debug)),
            (stringify!($type), "Display", has!($type, Display)),
            (stringify!($type), "Serialize", has!($type, Serialize)),
            (stringify!($type), "Into<String>", has!($type, Into<String>)),
            (stringify!($type), "Into<Vec<u8>>", has!($type, Into<Vec<u8>>)),
            (stringify!($type), "AsRef<str>", has!($type, AsRef<str>)),
            (stringify!($type), "AsRef<[u8]>", has!($type, AsRef<[u8]>)),
            (stringify!($type), "Deref<Target = str>", has!($type, Deref<Target = str>)),
        )*]
    };
}

#[test]
fn what_holds_a_secret_does_not_let_it_out() {
    assert!(
        has!(String, Debug) && has!(String, Serialize) && has!(String, AsRef<str>),
        "what there is, is seen"
    );
    let rows = rows![
        Secret,
        SigningSecrets,
        ApiKey,
        Webhook,
        NewApiKey,
        NewKey,
        NewWebhook,
        Rotation,
        WebhookPatch,
        MasterKey,
        MasterKeys,
        ServerSettings,
        ClientSettings,
        Given,
        Layers,
        AdminClient,
    ];
    for (name, bound, has) in &rows {
        assert!(!has, "{name} is {bound}");
    }
    println!("counted | secrets | ways out of types with secrets that do not exist | {}", rows.len());
}
