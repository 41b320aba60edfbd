//! `/details`: what the provider did not tell and the house requires; `/details` again for the code that was mailed.

use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::browser::{Browser, Changes};
use crate::flow::email_code;
use crate::flow::person::{self, Answer, Asked, Asks, CodeTrouble, EmailTrouble, NameTrouble, Question};
use crate::flow::refusals::Refused;
use crate::http::delivery::{self, form};
use crate::http::handlers::{flow_form, visitor};
use crate::http::pages::{CodePage, DetailsPage, TextField, Texts};
use crate::http::{Site, csrf};
use crate::protocol::Parameters;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

/// The question.
pub async fn get(site: web::Data<Site>, request: HttpRequest) -> HttpResponse {
    let browser = match visitor(&site, &request).await {
        Ok(browser) => browser,
        Err(refusal) => return refusal,
    };
    let asked = ask(&site, &browser, request.query_string()).await;
    settle(&site, &request, &browser, asked).await
}

async fn ask(site: &Site, browser: &Browser, query: &str) -> Result<Asks, Refused> {
    let parameters = Parameters::decode(query)?;
    parameters.check()?;
    person::ask(&site.app, browser, parameters.get("flow")).await
}

/// The answer.
pub async fn post(site: web::Data<Site>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let browser = match visitor(&site, &request).await {
        Ok(browser) => browser,
        Err(refusal) => return refusal,
    };
    let asks = match flow_form(&site, &request, &browser, payload, form::DETAILS, "action").await {
        Ok(form) => {
            let field = |name: &str| form.fields.get(name).cloned();
            let answer = Answer {
                action: form.choice.clone(),
                name: field("name"),
                email: field("email"),
                code: field("code"),
            };
            person::answer(&site.app, &browser, form.flow, answer).await
        }
        Err(refused) => Err(refused),
    };
    settle(&site, &request, &browser, asks).await
}

async fn settle(
    site: &Site,
    request: &HttpRequest,
    browser: &Browser,
    asks: Result<Asks, Refused>,
) -> HttpResponse {
    let shown = match asks {
        Ok(Asks::Show(question)) => show(site, StatusCode::OK, *question, &Changes::none()),
        // RFC 9110 §15.5.21: it was understood, and cannot be used as it is.
        Ok(Asks::Again(question, changes)) => {
            show(site, StatusCode::UNPROCESSABLE_ENTITY, *question, &changes)
        }
        Ok(Asks::Elsewhere(outcome)) => {
            return delivery::settle(site, request, browser, Ok(*outcome)).await;
        }
        Err(refused) => Err(refused),
    };
    match shown {
        Ok(page) => page,
        Err(refused) => delivery::refuse(site, request, browser, refused).await,
    }
}

fn show(
    site: &Site,
    status: StatusCode,
    question: Question,
    changes: &Changes,
) -> Result<HttpResponse, Refused> {
    let app = &site.app;
    let frame = site.assets().frame();
    let handle = question.flow.handle()?;
    let cancelled = Failure::new(
        OAuthCode::AccessDenied,
        "sign_in.cancelled",
        UserMessage::Cancelled,
        "the person gave up",
    );
    let cancel = question.redirect.with_error(app.now().settings.issuer.as_str(), &cancelled, None);
    let cancel = delivery::reply_by_hand(site, &cancel);
    let action = delivery::local(site, "/details")?;
    let flow = handle.expose().to_owned();
    let csrf = csrf::token(&app.sealer, &app.context, form::DETAILS, handle.expose())?;
    let targets = vec![question.redirect.form_target()];
    let (app_name, trouble, t) = (question.client.name.clone(), question.trouble, frame.t);
    Ok(match question.asked {
        Asked::Details { name, email } => {
            let page = DetailsPage {
                app_name,
                provider: question.provider,
                name: name
                    .map(|value| TextField { value, wrong: trouble.name.map(|wrong| of_name(t, wrong)) }),
                email: email
                    .map(|value| TextField { value, wrong: trouble.email.map(|wrong| of_email(t, wrong)) }),
                reference: trouble.reference,
                ways: delivery::local(site, &format!("/sign-in?flow={flow}"))?,
                frame,
                action,
                flow,
                csrf,
                cancel,
                targets,
            };
            delivery::page(site, status, &page, changes)
        }
        Asked::Code { email } => {
            let page = CodePage {
                app_name,
                email: email.as_str().to_owned(),
                minutes: (email_code::LIFETIME.as_secs() / 60).to_string(),
                wrong: trouble.code.map(|wrong| of_code(t, wrong)),
                reference: trouble.reference,
                frame,
                action,
                flow,
                csrf,
                cancel,
                targets,
            };
            delivery::page(site, status, &page, changes)
        }
    })
}

fn of_name(t: &Texts, trouble: NameTrouble) -> String {
    match trouble {
        NameTrouble::Empty => t.details_name_empty(),
        NameTrouble::Unfit => t.details_name_unfit(),
    }
}

fn of_email(t: &Texts, trouble: EmailTrouble) -> String {
    match trouble {
        EmailTrouble::Empty => t.details_email_empty(),
        EmailTrouble::Malformed => t.details_email_malformed(),
        EmailTrouble::Undeliverable => t.details_email_undeliverable(),
        EmailTrouble::Taken => t.details_email_taken(),
        EmailTrouble::TooMany => t.details_email_many(),
    }
}

fn of_code(t: &Texts, trouble: CodeTrouble) -> String {
    match trouble {
        CodeTrouble::Malformed => t.code_malformed(),
        CodeTrouble::Wrong(left) => t.code_wrong(&left.to_string()),
        CodeTrouble::Over => t.code_over(),
        CodeTrouble::TooMany => t.code_many(),
    }
}
