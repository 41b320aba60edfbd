//! A visitor: a browser that keeps cookies and follows nothing by itself.

use std::collections::BTreeMap;
use url::Url;

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
    /// All headers of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }
    /// Where a redirect leads. It must be a 303.
    pub fn location(&self) -> Url {
        assert_eq!(self.status, 303, "{self:#?}");
        Url::parse(self.header("location").expect("a location")).expect("an absolute address")
    }
    /// The value of a hidden field on the page.
    pub fn field(&self, name: &str) -> String {
        let at = self.body.find(&format!("name=\"{name}\"")).unwrap_or_else(|| panic!("{name}: {self:#?}"));
        let tag_start = self.body[..at].rfind('<').unwrap();
        let tag = &self.body[tag_start..tag_start + self.body[tag_start..].find('>').unwrap()];
        let value = tag.split_once("value=\"").unwrap_or_else(|| panic!("{tag}")).1;
        value.split_once('"').unwrap().0.to_owned()
    }
    /// The reference on an error page.
    pub fn has_reference(&self, reference: &str) -> bool {
        self.body.contains(reference)
    }
}

/// A parameter of an address.
pub fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
}

/// A browser: cookies by name, no redirects followed.
#[derive(Clone, Default)]
pub struct Visitor {
    pub cookies: BTreeMap<String, String>,
    /// Headers that are sent with every request.
    pub headers: Vec<(String, String)>,
    /// Certificates to trust, where the broker ends TLS itself.
    pub trusts: Option<std::path::PathBuf>,
    /// Every cookie that was ever set, as it came.
    pub set: Vec<String>,
}

impl Visitor {
    /// A browser without cookies.
    pub fn new() -> Self {
        Self::default()
    }

    fn client(&self) -> reqwest::Client {
        let mut builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        if let Some(path) = &self.trusts {
            let pem = std::fs::read(path).unwrap();
            builder = builder.add_root_certificate(reqwest::Certificate::from_pem(&pem).unwrap());
        }
        builder.build().unwrap()
    }

    /// Where a request to the broker arrives: behind the proxy that ends TLS, unless the broker does.
    fn reachable(&self, url: &str) -> String {
        if self.trusts.is_some() {
            url.to_owned()
        } else {
            url.replace("https://localhost", "http://localhost")
        }
    }

    async fn send(&mut self, mut request: reqwest::RequestBuilder) -> Answer {
        if !self.cookies.is_empty() {
            let line: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", line.join("; "));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = request.send().await.unwrap();
        let headers: Vec<(String, String)> = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let status = response.status().as_u16();
        let answer = Answer { status, headers, body: response.text().await.unwrap() };
        for line in answer.all("set-cookie") {
            self.set.push(line.to_owned());
            let (pair, attributes) = line.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// A GET.
    pub async fn get(&mut self, url: &str) -> Answer {
        self.send(self.client().get(self.reachable(url))).await
    }

    /// A POST of a form, as a browser sends it from a page without referrer.
    pub async fn post(&mut self, url: &str, form: &[(&str, &str)]) -> Answer {
        self.post_from(url, form, Some("null"), Some("same-origin")).await
    }

    /// A POST of a form from elsewhere.
    pub async fn post_from(
        &mut self,
        url: &str,
        form: &[(&str, &str)],
        origin: Option<&str>,
        site: Option<&str>,
    ) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = self
            .client()
            .post(self.reachable(url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        self.send(request).await
    }

    /// The session's cookie.
    pub fn session(&self) -> Option<&String> {
        self.cookies.get("cs_session")
    }

    /// The names of the flows' cookies.
    pub fn flows(&self) -> Vec<String> {
        self.cookies.keys().filter(|name| name.starts_with("cs_flow_")).cloned().collect()
    }
}
