//! Signing secrets: whoever has to bring one can, and those that are shown once are.

use super::Whole;
use crate::model::access::{SecretEncoding, SecretKey, SecretOrigin, SecretShown};
use crate::model::input::Target;
use crate::model::view::{Member, MemberValue, Source, ViewRoot};
use crate::model::{Op, Route};

pub fn check(whole: &Whole<'_>) {
    let contract = whole.contract;
    let rule = &contract.secret;
    let makes_own = rule.origin != SecretOrigin::Caller;
    let is_hex = rule.encoding == SecretEncoding::Hex;
    let decodes = rule.key == SecretKey::Utf8 || is_hex == (rule.key == SecretKey::Hex);
    if makes_own && !decodes {
        whole.error(&["secret", "key"], "secrets of this `kind` cannot be decoded so");
    }
    for (n, signature) in contract.signatures.iter().enumerate() {
        // Hexadecimal digits are valid base 64 too, and clients that expect base 64 take them for it.
        let always_decodes = match signature.key.unwrap_or(rule.key) {
            SecretKey::Utf8 => true,
            SecretKey::Base64 => makes_own && rule.origin != SecretOrigin::Either,
            SecretKey::Hex => makes_own && rule.origin != SecretOrigin::Either && is_hex,
        };
        if signature.key.is_some() && !always_decodes {
            let path = ["signatures", &n.to_string(), "key"];
            whole.error(&path, "not every secret of this contract can be decoded so");
        }
    }
    for route in &contract.routes {
        if matches!(route.op, Op::WebhookCreate | Op::WebhookRotate) {
            check_origin(whole, route);
        }
    }
    check_shown(whole);
}

fn check_origin(whole: &Whole<'_>, route: &Route) {
    let path = ["routes", route.name.as_str()];
    let input = route.input.and_then(|index| whole.contract.inputs.get(index));
    let field = input.and_then(|input| input.fields.iter().find(|field| field.to == Target::Secret));
    match (whole.contract.secret.origin, field) {
        (SecretOrigin::Caller, None) => {
            whole.error(
                &path,
                "[secret] says that callers bring it, but no field of the input sets endpoint.secret",
            );
        }
        (SecretOrigin::Caller, Some(field)) if !field.required => {
            whole.error(&path, "[secret] says that callers bring it, but the field is not `required`");
        }
        (SecretOrigin::Server, Some(_)) => {
            whole.error(&path, "[secret] says that the server makes it, but the input sets endpoint.secret");
        }
        _ => {}
    }
}

fn check_shown(whole: &Whole<'_>) {
    let contract = whole.contract;
    let mut places = Vec::new();
    for view in &contract.views {
        if let ViewRoot::Object(members) = &view.root {
            let mut found = Vec::new();
            secret_members(members, &mut found);
            places.extend(found.into_iter().map(|member| (view.name.as_str(), member)));
        }
    }
    for (view, member) in &places {
        let path = ["views", *view, "fields"];
        let makes = |op: &Op| matches!(op, Op::WebhookCreate | Op::WebhookRotate);
        match contract.secret.shown {
            SecretShown::Never => {
                whole.error(&path, "[secret] says `show = \"never\"`, but this view shows it")
            }
            SecretShown::Once if member.shown_by.is_empty() => {
                whole.error(&path, "[secret] says `show = \"once\"`, but this view shows it always; name the operations in `show`");
            }
            SecretShown::Once if !member.shown_by.iter().all(makes) => {
                whole.warning(&path, "[secret] says `show = \"once\"`, but other operations show it too");
            }
            _ => {}
        }
    }
    if places.is_empty() && contract.secret.origin != SecretOrigin::Caller {
        whole.warning(&["secret"], "the server makes it, but no view shows it");
    }
}

fn secret_members<'a>(members: &'a [Member], found: &mut Vec<&'a Member>) {
    for member in members {
        match &member.value {
            MemberValue::From(Source::WebhookSecret, _)
                if member.hide != crate::model::Hide::Mask || !member.shown_by.is_empty() =>
            {
                found.push(member)
            }
            MemberValue::Object(inner) => secret_members(inner, found),
            _ => {}
        }
    }
}
