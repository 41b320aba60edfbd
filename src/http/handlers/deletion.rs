//! `/deletion`: what became of a deletion that somebody asked for at a provider, by its confirmation code. The page
//! says nothing of whose it was, and looks the same for whoever has the code.

use crate::accounts::{Deletion, DeletionOutcome};
use crate::flow::browser::{Browser, Changes};
use crate::flow::refusals::Refused;
use crate::flow::upstream_notice;
use crate::http::pages::{DeletionPage, Receipt};
use crate::http::{Site, delivery};
use crate::protocol::Parameters;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

/// The receipt, or a form that asks for the code.
pub async fn get(site: web::Data<Site>, request: HttpRequest) -> HttpResponse {
    match show(&site, request.query_string()).await {
        Ok(response) => response,
        Err(refused) => delivery::refuse(&site, &request, &Browser::default(), refused).await,
    }
}

async fn show(site: &Site, query: &str) -> Result<HttpResponse, Refused> {
    let parameters = Parameters::decode(query)?;
    parameters.check()?;
    let typed = parameters.get("code").unwrap_or_default();
    let found = if typed.is_empty() { None } else { upstream_notice::receipt(&site.app, typed).await? };
    let lost = !typed.is_empty() && found.is_none();
    let status = if lost { StatusCode::NOT_FOUND } else { StatusCode::OK };
    let page = DeletionPage {
        frame: site.assets().frame(),
        receipt: found.map(|deletion| receipt(site, &deletion)),
        typed: typed.to_owned(),
        lost,
        action: delivery::local(site, "/deletion")?,
    };
    Ok(delivery::page(site, status, &page, &Changes::none()))
}

fn receipt(site: &Site, deletion: &Deletion) -> Receipt {
    let texts = site.assets().frame().t;
    let provider = site.app.now().provider_name(&deletion.provider);
    let (title, text) = match deletion.outcome {
        DeletionOutcome::Nothing => (texts.deletion_nothing_title(), texts.deletion_nothing(&provider)),
        DeletionOutcome::Link => (texts.deletion_done_title(), texts.deletion_link(&provider)),
        DeletionOutcome::Account => (texts.deletion_done_title(), texts.deletion_account(&provider)),
        DeletionOutcome::Suspended => (texts.deletion_done_title(), texts.deletion_suspended(&provider)),
    };
    Receipt {
        title,
        text,
        at: deletion.done_at.rfc3339(),
        done_at: deletion.done_at.in_words(),
        kept_until: deletion.expires_at.in_words(),
    }
}
