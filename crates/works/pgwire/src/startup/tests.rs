//! Well-formed packets, malformed ones, and ones that a random generator broke.

use super::*;

const REF: &str = "abcdefghijklmnopqrst";

fn packet(minor: u16, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = vec![0, 3];
    body.extend(minor.to_be_bytes());
    for (name, value) in parameters {
        body.extend([name.as_bytes(), &[0], value.as_bytes(), &[0]].concat());
    }
    body.push(0);
    body
}

fn started(parameters: &[(&str, &str)]) -> Startup {
    match parse(&packet(0, parameters)).unwrap() {
        Packet::Startup(startup) => startup,
        other => panic!("{other:?}"),
    }
}

fn route(parameters: &[(&str, &str)], sni: Option<&str>) -> (String, String, Option<String>) {
    let request = started(parameters).route(sni, "127.0.0.1:1".parse().unwrap()).unwrap();
    (request.user, request.database, request.project.map(String::from))
}

fn found(user: &str, database: &str, project: Option<&str>) -> (String, String, Option<String>) {
    (user.to_owned(), database.to_owned(), project.map(str::to_owned))
}

#[test]
fn the_project_comes_from_the_user_then_the_options_then_the_host_name() {
    let (user, host) = (format!("postgres.{REF}"), format!("db.{REF}.example.com"));
    let options = format!("reference={REF}");
    assert_eq!(route(&[("user", "postgres")], None), found("postgres", "postgres", None));
    assert_eq!(route(&[("user", &user), ("database", "d")], None), found("postgres", "d", Some(REF)));
    assert_eq!(route(&[("user", &user)], None), found("postgres", "postgres", Some(REF)));
    assert_eq!(
        route(&[("user", &user), ("database", &user)], None),
        found("postgres", "postgres", Some(REF))
    );
    assert_eq!(route(&[("user", "a.b"), ("options", &options)], None), found("a.b", "a.b", Some(REF)));
    assert_eq!(route(&[("user", "me")], Some(&host)), found("me", "me", Some(REF)));
    let other = "zzzzzzzzzzzzzzzzzzzz";
    let both = format!("me.{other}");
    assert_eq!(route(&[("user", &both), ("options", &options)], Some(&host)).2.as_deref(), Some(other));
    for host in ["localhost", "db.localhost", &format!("{REF}.example.com"), "db.SHOUTING.example.com"] {
        assert_eq!(route(&[("user", "me")], Some(host)).2, None, "{host}");
    }
}

#[test]
fn a_reference_that_is_none_is_not_the_default_project() {
    let startup = started(&[("user", "me"), ("options", "reference=nonsense")]);
    let refusal = startup.route(None, "127.0.0.1:1".parse().unwrap()).unwrap_err();
    assert_eq!(refusal, Refusal::unknown_project());
}

#[test]
fn the_server_does_not_see_our_part_of_the_options() {
    let options = |text: &str| started(&[("user", "me"), ("options", text)]).parameters;
    let kept = |text: &str| vec![("options".to_owned(), text.to_owned())];
    assert_eq!(options(&format!("-c a=1 reference={REF} -c b=2")), kept("-c a=1 -c b=2"));
    assert_eq!(options(&format!("reference={REF}")), vec![]);
    assert_eq!(options(r"-c a=one\ two"), kept(r"-c a=one\ two"));
}

#[test]
fn newer_clients_are_told_what_is_not_known() {
    let Ok(Packet::Startup(startup)) = parse(&packet(2, &[("user", "me"), ("_pq_.x", "1")])) else {
        panic!()
    };
    assert_eq!(startup.beyond, Some(vec!["_pq_.x".to_owned()]));
    assert!(startup.parameters.is_empty());
    assert_eq!(started(&[("user", "me")]).beyond, None);
}

#[test]
fn the_other_packets() {
    assert_eq!(parse(&SSL.to_be_bytes()), Ok(Packet::Ssl));
    assert_eq!(parse(&GSS.to_be_bytes()), Ok(Packet::Gss));
    let cancel = [CANCEL.to_be_bytes(), 7_i32.to_be_bytes(), (-9_i32).to_be_bytes()].concat();
    assert_eq!(parse(&cancel), Ok(Packet::Cancel { process_id: 7, secret: -9 }));
    assert!(parse(&cancel[..11]).is_err());
    let old = parse(&[0, 2, 0, 0, 0]).unwrap_err();
    assert_eq!((old.code, old.message.contains("unsupported frontend protocol 2.0")), ("0A000", true));
}

#[test]
fn malformed_packets_are_refused() {
    let code = |body: &[u8]| parse(body).map_err(|r| r.code);
    assert_eq!(code(&packet(0, &[])), Err("28000"));
    assert_eq!(code(&packet(0, &[("user", "")])), Err("28000"));
    assert_eq!(code(&packet(0, &[("user", "a"), ("user", "b")])), Err("08P01"));
    assert_eq!(code(&[0, 3, 0, 0]), Err("08P01"));
    assert_eq!(code(b"\0\x03\0\0user\0a\0"), Err("08P01"), "no end");
    assert_eq!(code(b"\0\x03\0\0user\0\0\0"), Err("28000"), "an empty user");
    assert_eq!(code(b"\0\x03\0\0user\0a\0\0b\0\0"), Err("08P01"), "an empty name");
    assert_eq!(code(b"\0\x03\0\0user\0a\0b\0\0"), Err("08P01"), "a name without value");
    assert_eq!(code(b"\0\x03\0\0user\0\xff\0\0"), Err("08P01"), "not UTF-8");
    let many: Vec<(String, String)> = (0..200).map(|n| (format!("p{n}"), String::new())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(code(&packet(0, &many)), Err("08P01"));
    assert_eq!(code(&[]), Err("08P01"));
}

#[tokio::test]
async fn lengths_that_are_none_close_without_a_word() {
    for length in [0_u32, 4, 7, 10_001, u32::MAX, u32::from_be_bytes(*b"GET ")] {
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend([0; 64]);
        assert!(matches!(read(&mut bytes.as_slice()).await, Err(Invalid::Silent)), "{length}");
    }
    assert!(matches!(read(&mut [0_u8, 0, 0].as_slice()).await, Err(Invalid::Silent)));
    assert!(matches!(read(&mut [0_u8, 0, 0, 9, 1, 2].as_slice()).await, Err(Invalid::Silent)));
}

/// Mutations of good packets and plain noise: whatever comes in, the answer is a packet or a refusal.
#[test]
fn no_input_breaks_the_parser() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    let user = format!("postgres.{REF}");
    let good = packet(0, &[("user", &user), ("database", "d"), ("options", "reference=x -c a=1")]);
    for _ in 0..50_000 {
        let mut bytes = good.clone();
        for _ in 0..=random(4) {
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] = u8::try_from(random(256)).unwrap(),
                1 => bytes.truncate(at.max(1)),
                2 => bytes.insert(at, 0),
                _ => drop(bytes.remove(at)),
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
        }
        if let Ok(Packet::Startup(startup)) = parse(&bytes) {
            let _ = startup.route(Some("db.x.y"), "127.0.0.1:1".parse().unwrap());
            assert!(!startup.user.is_empty());
        }
        let noise: Vec<u8> = (0..random(64)).map(|_| u8::try_from(random(256)).unwrap()).collect();
        let _ = parse(&[&[0, 3, 0, 0], noise.as_slice()].concat());
        let _ = parse(&noise);
    }
}
