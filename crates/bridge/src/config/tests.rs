use super::*;

const SERVER: &str = "[server]\nurl = \"nats://127.0.0.1:4222\"\n";

fn problem(text: &str) -> String {
    match Config::parse(text) {
        Ok(config) => panic!("{config:?}"),
        Err(problem) => problem.in_file(Path::new("routes.toml")).to_string(),
    }
}

#[test]
fn routes_have_defaults() {
    let text = format!(
        "{SERVER}[[out]]\nchannel = \"frames\"\nsubject = \"a.frames\"\n[[in]]\nstream = \"S\"\n\
         consumer = \"b\"\nkey = 0xff\nname = \"raw\"\n[state]\ndirectory = \"/tmp/x\"\n"
    );
    let config = Config::parse(&text).unwrap();
    let (out, inward) = (&config.outs[0], &config.ins[0]);
    assert_eq!((&*out.name, &*out.label, out.in_flight), ("frames", "bridge frames", 1024));
    assert_eq!((out.order, &out.channel), (Order::Strict, &Address::named("frames")));
    assert_eq!((&inward.channel, &*inward.label), (&Address::Key(0xff), "bridge raw"));
    assert_eq!(config.state, Path::new("/tmp/x"));
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let out = |fields: &str| format!("{SERVER}[[out]]\nsubject = \"a\"\n{fields}\n");
    for (text, expected) in [
        (SERVER.to_string(), "there is no route"),
        (out("channel = \"x\"\nspeed = 1"), "line 6"),
        (out(""), "line 3: give one of channel (a name), key and id"),
        (out("channel = \"x\"\nin_flight = 0"), "in_flight = 0 is out of range"),
        (out("channel = \"a b\""), "\"a b\" cannot name a route"),
        (out("key = \"x\""), "write key = 0x1234"),
        (out("key = 1\nname = \"k\"\nowner = 1"), "owner goes with a channel's name only"),
        (out("channel = \"x\"\nstream = \"a.b\""), "not the name of a stream"),
        (out("channel = \"x\"\nlabel = \"a\\nb\""), "has a control character"),
        (out("channel = \"x\"\norder = \"any\""), "line 6"),
        (
            format!("{}[[out]]\nchannel = \"x\"\nsubject = \"b\"\n", out("channel = \"x\"")),
            "line 6: two out routes are named \"x\"",
        ),
        ("[server]\nurl = \"nats://me:secret@host\"\n".into(), "url contains credentials"),
        ("[server]\nurl = []\n".into(), "url is an empty list"),
        ("[server]\nurl = \"a\"\nuser = \"me\"\n".into(), "user needs password_file"),
        (
            "[server]\nurl = \"a\"\ntoken_env = \"T\"\ntoken_file = \"t\"".into(),
            "give one of token_file",
        ),
        (
            "[server]\nurl = \"a\"\ntoken_env = \"T\"\nnkey_env = \"N\"".into(),
            "give one of credentials",
        ),
        ("[server]\nurl = \"a\"\ntls = { key = \"k\" }".into(), "go together"),
    ] {
        let problem = problem(&text);
        assert!(problem.contains(expected), "{text}\n{problem}");
        assert!(!problem.contains("secret"), "{problem}");
    }
}

#[test]
fn a_subject_has_wildcards_only_where_messages_are_read() {
    let route = |subject: &str, reject: &str| {
        Config::parse(&format!(
            "{SERVER}[[in]]\nstream = \"S\"\nconsumer = \"c\"\nchannel = \"x\"\n\
             subject = \"{subject}\"\nreject_to = \"{reject}\"\n"
        ))
    };
    assert!(route("a.*.>", "b").is_ok());
    assert!(route("a..b", "b").is_err());
    assert!(route("a", "b.>").is_err());
}
