//! The way out by itself: what it lets through, what counts as a failure of the other side, and how much waits.

use crate::standin::{Edit, Pace, Reply, Standin};
use countersign::context::{Context, ManualClock, SeededEntropy, Timestamp};
use countersign::failure::OAuthCode;
use countersign::outbound::address::AddressRefused;
use countersign::outbound::{
    Answer, Authorities, Fault, Network, NetworkError, Outbound, Request, Transports,
};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

struct Way {
    standin: Standin,
    outbound: Outbound,
}

fn network(timeout: u64) -> Network {
    Network {
        allow_loopback: true,
        allow_private_network: false,
        ca_file: None,
        timeout: Duration::from_secs(timeout),
    }
}

fn way() -> Way {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
    let context = Context::new(clock.clone(), Arc::new(SeededEntropy::new(1)));
    let outbound = Outbound::new(&network(1), context, &mut Transports::default()).unwrap();
    Way { standin: Standin::start(clock), outbound }
}

impl Way {
    fn url(&self) -> Url {
        Url::parse(&format!("{}/jwks", self.standin.origin())).unwrap()
    }
    async fn ask(&self, change: Edit<Reply>, cap: usize) -> Result<Answer, Fault> {
        self.standin.script().jwks = change;
        self.outbound.send(Request::get(self.url()), cap).await
    }
    async fn status(&self, status: u16) -> Result<Answer, Fault> {
        self.ask(Box::new(move |reply| *reply = Reply::json(status, &json!({}))), 1000).await
    }
}

#[tokio::test]
async fn an_answer_may_be_as_large_as_the_bound_and_no_larger() {
    let way = way();
    for pace in [Pace::Normal, Pace::NoLength] {
        let of = |size: usize| -> Edit<Reply> {
            Box::new(move |reply| {
                reply.set("application/json", vec![b' '; size]);
                reply.pace = pace;
            })
        };
        assert_eq!(way.ask(of(1000), 1000).await.unwrap().body.len(), 1000);
        assert_eq!(way.ask(of(1001), 1000).await, Err(Fault::Size(1000)));
    }
    // what says that it is too large is not waited for
    let slow: Edit<Reply> = Box::new(|reply| {
        reply.set("application/json", vec![b' '; 1001]);
        reply.pace = Pace::Drip;
    });
    assert_eq!(way.ask(slow, 1000).await, Err(Fault::Size(1000)));
}

#[tokio::test]
async fn only_what_the_other_side_fails_at_opens_the_circuit() {
    let closed = async |times: usize, status: u16| {
        let way = way();
        for _ in 0..times {
            let _ = way.status(status).await;
        }
        let asked = way.standin.count("/jwks");
        let next = way.status(200).await;
        assert_eq!(next.is_ok(), way.standin.count("/jwks") > asked);
        next != Err(Fault::Open)
    };
    assert!(closed(4, 500).await);
    assert!(!closed(5, 500).await);
    assert!(!closed(5, 599).await);
    for fine in [200, 299, 300, 399, 400, 404, 499] {
        assert!(closed(6, fine).await, "{fine}");
    }
}

#[tokio::test]
async fn where_strangers_have_a_say_only_silence_opens_the_circuit() {
    let mut way = way();
    way.outbound = way.outbound.for_strangers();
    for _ in 0..6 {
        assert_eq!(way.status(599).await.unwrap().status, 599);
    }
    assert!(way.outbound.is_closed());
    for _ in 0..5 {
        let fault = way.ask(Box::new(|reply| reply.pace = Pace::Drop), 1000).await.unwrap_err();
        assert!(matches!(fault, Fault::Connect(_)), "{fault:?}");
    }
    assert_eq!(way.status(200).await, Err(Fault::Open));
}

#[tokio::test]
async fn silence_and_broken_connections_open_the_circuit() {
    let way = way();
    for _ in 0..5 {
        assert_eq!(way.ask(Box::new(|reply| reply.pace = Pace::Hang), 1000).await, Err(Fault::Timeout));
    }
    assert_eq!(way.status(200).await, Err(Fault::Open));
    assert!(!way.outbound.is_closed());

    let outbound = Outbound::new(&network(1), Context::system(), &mut Transports::default()).unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = Url::parse(&format!("http://{nobody}/")).unwrap();
    for _ in 0..5 {
        let fault = outbound.send(Request::get(url.clone()), 1000).await.unwrap_err();
        assert!(matches!(fault, Fault::Connect(_)), "{fault:?}");
    }
    assert_eq!(outbound.send(Request::get(url), 1000).await, Err(Fault::Open));
}

#[tokio::test]
async fn refusals_of_our_own_open_no_circuit() {
    let way = way();
    let elsewhere = Url::parse("https://10.0.0.1/").unwrap();
    for _ in 0..6 {
        let large: Edit<Reply> = Box::new(|reply| reply.set("application/json", vec![b' '; 1001]));
        assert_eq!(way.ask(large, 1000).await, Err(Fault::Size(1000)));
        let fault = way.outbound.send(Request::get(elsewhere.clone()), 1000).await;
        assert!(matches!(fault, Err(Fault::Address(AddressRefused::Range(_, "private")))), "{fault:?}");
    }
    assert!(way.outbound.is_closed());
    assert!(way.status(200).await.is_ok());
}

/// 32 requests to a party that hangs are all that reach it; the others wait for their turn.
#[tokio::test]
async fn so_many_requests_wait_at_one_provider_and_no_more() {
    let standin = way().standin;
    standin.script().jwks = Box::new(|reply| reply.pace = Pace::Hang);
    let outbound = Outbound::new(&network(30), Context::system(), &mut Transports::default()).unwrap();
    let url = Url::parse(&format!("{}/jwks", standin.origin())).unwrap();
    let waiting =
        futures_util::future::join_all((0..40).map(|_| outbound.send(Request::get(url.clone()), 1000)));
    let counting = async {
        while standin.count("/jwks") < 32 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        standin.count("/jwks")
    };
    let first = futures_util::future::select(Box::pin(waiting), Box::pin(counting)).await;
    let futures_util::future::Either::Right((asked, _)) = first else { panic!("an answer") };
    assert_eq!(asked, 32);
}

#[tokio::test]
async fn a_connection_that_is_never_made_took_too_long() {
    // a queue for one that nobody empties: who comes later hears nothing
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let crowd: Vec<_> =
        (0..8).map(|_| tokio::spawn(async move { tokio::net::TcpStream::connect(address).await })).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let outbound = Outbound::new(&network(5), Context::system(), &mut Transports::default()).unwrap();
    let url = Url::parse(&format!("http://{address}/")).unwrap();
    assert_eq!(outbound.send(Request::get(url), 1000).await, Err(Fault::Timeout));
    drop(crowd);
}

#[tokio::test]
async fn an_answer_says_its_type_and_for_how_long_it_is_fresh() {
    let way = way();
    let answer = |content_type: &'static str, control: &'static str| -> Edit<Reply> {
        Box::new(move |reply| {
            content_type.clone_into(&mut reply.content_type);
            reply.headers.push(("cache-control".to_owned(), control.to_owned()));
        })
    };
    let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
    for (control, age) in [
        ("max-age=600", Some(600)),
        ("public, max-age=600", Some(600)),
        ("MAX-AGE=600 , public", Some(600)),
        ("no-store", Some(0)),
        ("max-age=600, no-cache", Some(0)),
        ("max-age=soon", None),
        ("public", None),
    ] {
        let found = way.ask(answer("Application/JSON; charset=utf-8", control), 10_000).await.unwrap();
        assert_eq!(found.max_age, age.map(Duration::from_secs), "{control}");
        assert_eq!(found.content_type.as_deref(), Some("application/json"));
    }
    let fresh = |max_age: Option<u64>| {
        let max_age = max_age.map(Duration::from_secs);
        let answer = Answer { status: 200, content_type: None, max_age, body: Vec::new() };
        answer.fresh_for(minute, 10 * minute, hour).as_secs()
    };
    assert_eq!([None, Some(0), Some(700), Some(7000)].map(fresh), [600, 60, 700, 3600]);
}

#[tokio::test]
async fn a_request_asks_for_one_media_type_and_keeps_its_other_fields() {
    let way = way();
    let request = Request::get(way.url()).header("x-other", "kept");
    for (request, accept) in
        [(request.clone(), "application/json"), (request.accepting("text/css"), "text/css")]
    {
        assert_eq!(request.headers.iter().filter(|(name, _)| name == "accept").count(), 1);
        way.outbound.send(request, 10_000).await.unwrap();
        let seen = way.standin.seen().pop().unwrap();
        assert_eq!(seen.headers["accept"], accept);
        assert_eq!(seen.headers["x-other"], "kept");
        assert!(seen.headers["user-agent"].starts_with("countersign/"));
    }
}

#[tokio::test]
async fn only_200_is_fine() {
    let way = way();
    assert!(way.status(200).await.unwrap().ok().is_ok());
    for status in [201, 204, 400, 503] {
        let failure = way.status(status).await.unwrap().ok().unwrap_err();
        assert_eq!((failure.reason, failure.code), ("net.status", OAuthCode::TemporarilyUnavailable));
        assert_eq!(failure.detail.received, Some(status.to_string()));
    }
}

#[test]
fn authorities_are_what_the_file_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    assert!(matches!(Authorities::read(&path), Err(NetworkError::Read(..))));
    let mut transports = Transports::default();
    let mut read = |content: &[u8]| {
        std::fs::write(&path, content).unwrap();
        let network = Network { ca_file: Some(Authorities::read(&path).unwrap()), ..network(1) };
        let made = Outbound::new(&network, Context::system(), &mut transports).map(drop);
        (network, made)
    };
    let (first, made) = read(include_bytes!("../support/tls/ca.pem"));
    made.unwrap();
    let (second, made) = read(b"hello");
    assert!(matches!(made, Err(NetworkError::Certificates(..))), "what was there before is not used on");
    assert_ne!(first, second);
    let (third, made) = read(include_bytes!("../support/tls/ca.pem"));
    made.unwrap();
    assert_eq!(first, third);
    let shown = format!("{:?}", first.ca_file);
    assert!(shown.starts_with("Some(Authorities(\"") && shown.ends_with("ca.pem\"))"), "{shown}");
}

#[test]
fn a_way_out_shows_its_rules_and_nothing_else() {
    let way = way();
    let shown = format!("{:?}", way.outbound);
    assert!(shown.contains("allow_loopback: true") && shown.contains("1s"), "{shown}");
}
