use super::*;

fn verdict(text: &[u8]) -> Result<(), JsonFault> {
    parse(text).map(|_| ())
}

#[test]
fn sound_texts_are_taken() {
    for text in [
        r#"{}"#,
        r#" { "a" : [ 1 , -0 , 1.0 , 1e400, 1E+2 , 0.5e-3 ] , "b" : null } "#,
        r#"{"a":"\"\\\/\b\f\n\r\té\ud83d\ude00"}"#,
        "{\"a\":\"\u{2028}</script>\u{202e}\"}",
        r#"[true,false,null]"#,
        r#"{"a":{"a":{"a":1}}}"#,
    ] {
        assert_eq!(verdict(text.as_bytes()), Ok(()), "{text}");
    }
}

#[test]
fn unsound_texts_are_refused() {
    for text in [
        "",
        " ",
        "{",
        "{}}",
        "{} {}",
        "{},",
        "[1,]",
        r#"{"a":1,}"#,
        r#"{"a"}"#,
        r#"{a:1}"#,
        "{'a':1}",
        "NaN",
        "Infinity",
        "-Infinity",
        "01",
        "+1",
        ".5",
        "1.",
        "-",
        "1e",
        "1e+",
        "0x10",
        "1_000",
        "--1",
        "tru",
        "nulll",
        "True",
        r#""a"#,
        r#""\x""#,
        r#""\u12""#,
        r#""\u12g4""#,
        r#""\u+123""#,
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800A""#,
        r#""\ud800\ud800""#,
        r#"{"\ud800":1}"#,
        "\"\t\"",
        "\"\n\"",
        "\"\0\"",
        "{}\0",
        "\u{feff}{}",
        "\u{a0}{}",
        r#"{"a":1,"a":2}"#,
        r#"{"url":1,"\u0075rl":2}"#,
        r#"{"x":[{"a":1,"a":1}]}"#,
        r#"{"":1,"":2}"#,
    ] {
        assert!(verdict(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    for bytes in [&b"{\"a\":\"\xff\"}"[..], b"\"\xc0\xaf\"", b"\"\xed\xa0\x80\"", b"{\0\"\0a\0\"\0"] {
        assert!(verdict(bytes).is_err(), "{bytes:?}");
    }
    assert_eq!(verdict(b"\"\xff\""), Err(JsonFault::NotUtf8(1)));
}

#[test]
fn nesting_has_a_bound() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(verdict(nested(DEPTH_MAX).as_bytes()), Ok(()));
    assert_eq!(verdict(nested(DEPTH_MAX + 1).as_bytes()), Err(JsonFault::TooDeep(DEPTH_MAX)));
    assert_eq!(verdict(nested(100_000).as_bytes()), Err(JsonFault::TooDeep(DEPTH_MAX)));
    let many = format!("[{}]", vec!["{}"; 1000].join(","));
    assert_eq!(verdict(many.as_bytes()), Ok(()), "closing gives the depth back");
}

#[test]
fn many_keys_are_compared_too() {
    let keys = |last: &str| {
        let mut members: Vec<String> = (0..20_000).map(|n| format!("\"k{n}\":1")).collect();
        members.push(last.to_owned());
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(verdict(keys("\"other\":1").as_bytes()), Ok(()));
    assert!(matches!(verdict(keys("\"k7\":1").as_bytes()), Err(JsonFault::EqualKeys(_))));
    assert!(matches!(verdict(keys("\"\\u006b7\":1").as_bytes()), Err(JsonFault::EqualKeys(_))));
}

#[test]
fn strings_are_unescaped() {
    let value = parse(br#"{"\u0061":"\ud83d\ude00\u00e9\/\n"}"#).unwrap();
    assert_eq!(value.get("a").and_then(Value::as_str), Some("😀é/\n"));
}

#[test]
fn members_and_items_keep_their_text() {
    let text = br#" {"b": 1.0 , "a" : {"x":[ 1 ]}} "#;
    let found = members(text, DEPTH_MAX).unwrap();
    assert_eq!(found, [("b".into(), "1.0"), ("a".into(), r#"{"x":[ 1 ]}"#)]);
    assert_eq!(items(b"[ 1 , {\"a\": 2}]", DEPTH_MAX).unwrap(), ["1", "{\"a\": 2}"]);
    assert_eq!(members(b"[1]", DEPTH_MAX), Err(JsonFault::NotAnObject));
    assert_eq!(items(b"{}", DEPTH_MAX), Err(JsonFault::NotAnArray));
    assert!(matches!(members(b"{} x", DEPTH_MAX), Err(JsonFault::Syntax { .. })));
}

#[test]
fn what_is_written_can_be_read() {
    for text in ["", "plain", "q\"b\\s/", "\n\r\t\0\u{1f}\u{7f}", "é😀\u{2028}"] {
        let written = string(text);
        assert_eq!(parse(written.as_bytes()).unwrap().as_str(), Some(text), "{written}");
    }
}
