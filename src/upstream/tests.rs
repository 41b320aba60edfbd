use super::*;
use crate::context::Context;

/// A kind that has nothing of its own.
struct Plain(ProviderId);

#[async_trait]
impl Upstream for Plain {
    fn id(&self) -> &ProviderId {
        &self.0
    }
    fn form_targets(&self) -> Vec<String> {
        Vec::new()
    }
    async fn begin(&self, _: &Context, _: &BeginRequest) -> Result<Begun, Failure> {
        Err(Failure::internal("x", "none"))
    }
    async fn finish(&self, _: &Context, _: &[u8], _: &Callback, _: &mut Trace) -> Result<Vouched, Failure> {
        Err(Failure::internal("x", "none"))
    }
    fn health(&self) -> Health {
        Health::Unknown
    }
}

#[tokio::test]
async fn a_kind_that_says_nothing_else_does_nothing_else() {
    let plain = Plain(ProviderId::new("plain").unwrap());
    assert!(plain.answers_by_get() && !plain.answers_by_post());
    assert!(plain.proves_freshness() && !plain.lets_choose());
    assert!(!plain.logs_out_by_browser());
    assert!(plain.still_names(""));
    assert!(plain.unsolicited(&BTreeMap::new()).is_none());
    let context = Context::system();
    let wish = LogoutWish { state: String::new(), address: String::new(), session: None, name: None };
    assert!(plain.begin_logout(&context, &wish).await.unwrap().is_none());
    assert!(plain.published(&context, "https://a.example").await.unwrap().is_none());
    let answer = plain.answer_logout(&context, &[], LogoutOutcome::Complete).await.unwrap_err();
    assert_eq!(answer.reason, "upstream.logout_request");
    let message = LogoutMessage {
        method: CallbackMethod::Post,
        query: String::new(),
        parameters: BTreeMap::new(),
        address: String::new(),
        pending: None,
    };
    let heard = plain.inbound_logout(&context, &message, &mut Trace::default()).await.unwrap_err();
    assert_eq!(heard.reason, "upstream.logout_request");
    plain.tend(&context).await;
    plain.warm(&context).await.unwrap();
}
