//! Each preset, held to what its product documents: a response as it writes one (`wire/`), signed here as it signs,
//! and what becomes of it.

use crate::provider::{Bench, CALLBACK, OURS, bare};
use crate::saml::{Key, Message, Request, Signature, edit, instant, resign};
use countersign::failure::Failure;
use countersign::upstream::kinds::KindSettings;
use countersign::upstream::{Vouched, presets};

const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
const UNSPECIFIED: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";
const EMAIL: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";

/// What is signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Signs {
    Assertion,
    Response,
    Both,
}

/// One product.
struct Product {
    preset: &'static str,
    /// How it writes.
    wire: &'static str,
    /// What it signs by default, or each of what can be chosen there.
    signs: &'static [Signs],
    /// The key of the person: subject and format.
    key: (&'static str, &'static str),
    /// A rule that must hold.
    rule: &'static str,
    /// The whole name, where it sends one.
    name: Option<&'static str>,
    username: Option<&'static str>,
}

const PRODUCTS: &[Product] = &[
    Product {
        preset: "entra-saml",
        wire: include_str!("wire/entra.xml"),
        signs: &[Signs::Assertion],
        key: (
            "3fa85f64-5717-4562-b3fc-2c963f66afa6",
            "attribute:http://schemas.microsoft.com/identity/claims/objectidentifier",
        ),
        rule: "'02bd9fd6-8f93-4758-87c3-1fb73740a315' in claims.groups and claims.roles == 'Editor' and \
               'http://schemas.microsoft.com/claims/multipleauthn' in claims.amr and \
               claims.tenant_id == '6babcaad-604b-40ac-a9d7-9fd97c0b779f' and claims.groups_link is undefined",
        name: Some("Adele Vance"),
        username: Some("adele@contoso.example"),
    },
    Product {
        preset: "adfs",
        wire: include_str!("wire/adfs.xml"),
        signs: &[Signs::Assertion],
        key: ("9Qv1kC8b0Zr7HkQ2xw==", PERSISTENT),
        rule: "'Editors' in claims.groups",
        name: Some("Adele Vance"),
        username: Some("adele@contoso.example"),
    },
    Product {
        preset: "okta-saml",
        wire: include_str!("wire/okta.xml"),
        signs: &[Signs::Both],
        key: ("adele@contoso.example", UNSPECIFIED),
        rule: "'Editors' in claims.groups",
        name: Some("Adele Vance"),
        username: None,
    },
    Product {
        preset: "google-workspace",
        wire: include_str!("wire/google-workspace.xml"),
        signs: &[Signs::Assertion],
        key: ("adele.vance@contoso.example", UNSPECIFIED),
        rule: "'Editors' in claims.groups",
        name: None,
        username: None,
    },
    Product {
        preset: "shibboleth",
        wire: include_str!("wire/shibboleth.xml"),
        signs: &[Signs::Response],
        key: (
            "HA2TKNZZGE2TOBDCGMZWKOLDHBRWIMBX@university.example",
            "attribute:urn:oasis:names:tc:SAML:attribute:pairwise-id",
        ),
        rule: "'Editors' in claims.groups and 'staff@university.example' in claims.scoped_affiliation and \
               claims.targeted_id == 'https://idp.university.example/idp/shibboleth!' ~ \
               'https://login.example/upstream/acme/metadata!Zx9dL2' and \
               claims.friendly.mail == claims.email",
        name: Some("Adele Vance"),
        username: Some("adele@contoso.example"),
    },
    Product {
        preset: "keycloak-saml",
        wire: include_str!("wire/keycloak.xml"),
        signs: &[Signs::Response],
        key: ("G-0f9e8d7c-6b5a-4938-8271-60f5e4d3c2b1", PERSISTENT),
        rule: "'Editor' in claims.roles and 'offline_access' in claims.roles and \
               '/staff/Editors' in claims.groups",
        name: None,
        username: None,
    },
    Product {
        preset: "onelogin",
        wire: include_str!("wire/onelogin.xml"),
        signs: &[Signs::Assertion, Signs::Response, Signs::Both],
        key: ("adele.vance@contoso.example", EMAIL),
        rule: "'Editors' in list(claims.groups | split(';'))",
        name: None,
        username: None,
    },
    Product {
        preset: "pingfederate",
        wire: include_str!("wire/pingfederate.xml"),
        signs: &[Signs::Assertion, Signs::Response, Signs::Both],
        key: ("adele", UNSPECIFIED),
        rule: "'CN=Editors,OU=Groups,DC=contoso,DC=example' in claims.groups",
        name: Some("Adele Vance"),
        username: None,
    },
    Product {
        preset: "jumpcloud",
        wire: include_str!("wire/jumpcloud.xml"),
        signs: &[Signs::Assertion, Signs::Response, Signs::Both],
        key: ("adele.vance@contoso.example", "urn:oasis:names:tc:SAML:1.0:nameid-format:unspecified"),
        rule: "'Editors' in claims.groups",
        name: None,
        username: None,
    },
    Product {
        preset: "auth0-saml",
        wire: include_str!("wire/auth0.xml"),
        signs: &[Signs::Assertion],
        key: ("auth0|64b7f1c2e9a1d2b3c4d5e6f7", UNSPECIFIED),
        rule: "'Editors' in claims.groups and claims.email_verified == 'true'",
        name: Some("Adele Vance"),
        username: Some("adele.vance@contoso.example"),
    },
];

impl Product {
    /// The provider's entity id.
    fn issuer(&self) -> String {
        let rest = self.wire.split_once("Issuer").expect("an Issuer").1;
        let text = rest.split_once('>').expect("a tag").1;
        text.split_once('<').expect("a text").0.to_owned()
    }

    fn bench(&self, more: &str) -> Bench {
        Bench::new(&format!(
            "entity_id = \"{}\"\npreset = \"{}\"\nsso_url = \"https://id.acme.example/sso\"\ncertificates = [\"file:idp.pem\"]\n\
                 authoritative_for = [\"contoso.example\"]\nemail_verified = \"true\"\n{more}\n\
                 [[map]]\nrule = \"editors\"\ngroup = \"editors\"\nwhen = \"\"\"{}\"\"\"\n",
            self.issuer(),
            self.preset,
            self.rule,
        ))
    }

    /// A response to the request, signed.
    fn answer(&self, bench: &Bench, request: &Request, signs: Signs) -> String {
        let now = bench.now();
        let mut xml = self.wire.trim_end().to_owned();
        for (place, value) in [
            ("{now}", instant(now, 0)),
            ("{from}", instant(now, -300)),
            ("{until}", instant(now, 300)),
            ("{hour}", instant(now, 3600)),
            ("{proved}", instant(now, -20)),
            ("{session}", instant(now, 36_000)),
            ("{acs}", CALLBACK.to_owned()),
            ("{sp}", OURS.to_owned()),
            ("{request}", request.id.clone()),
        ] {
            xml = xml.replace(place, &value);
        }
        let signature = Signature::by(Key::rsa());
        if signs != Signs::Response {
            resign(&mut xml, "Response/Assertion", &signature).expect("an assertion");
        }
        if signs != Signs::Assertion {
            resign(&mut xml, "Response", &signature).expect("a response");
        }
        xml
    }

    async fn sign_in(&self, more: &str, signs: Signs) -> Result<Vouched, Failure> {
        let bench = self.bench(more);
        let begun = bench.begin(|_| {}).await.unwrap();
        let xml = self.answer(&bench, &Request::of(&begun.departure), signs);
        let (outcome, trace) = bench.finish(&begun, &Message::new(xml, "csst_state")).await;
        if outcome.is_ok() {
            assert!(trace.steps().iter().all(|step| step.passed), "{}: {trace:#?}", self.preset);
        }
        outcome
    }
}

fn product(preset: &str) -> &'static Product {
    PRODUCTS.iter().find(|product| product.preset == preset).expect("a product")
}

#[tokio::test]
async fn what_each_product_writes_is_read_without_further_settings() {
    for product in PRODUCTS {
        for signs in product.signs {
            let vouched = product.sign_in("", *signs).await.unwrap_or_else(|failure| {
                panic!("{}, {signs:?}: {}", product.preset, failure.for_operator())
            });
            let identity = &vouched.identity;
            let key = identity.key();
            assert_eq!((key.subject.as_str(), key.format.as_str()), product.key, "{}", product.preset);
            assert_eq!(key.issuer, product.issuer());
            let address = identity.verified_email().map(|email| email.address().as_str().to_owned());
            assert_eq!(address.as_deref(), Some("adele.vance@contoso.example"), "{}", product.preset);
            let profile = identity.profile();
            assert_eq!(profile.given_name.as_deref(), Some("Adele"), "{}", product.preset);
            assert_eq!(profile.family_name.as_deref(), Some("Vance"), "{}", product.preset);
            assert_eq!(profile.name.as_deref(), product.name, "{}", product.preset);
            assert_eq!(profile.preferred_username.as_deref(), product.username, "{}", product.preset);
            assert_eq!(identity.assignments().len(), 1, "{}: {}", product.preset, product.rule);
            assert!(identity.authentication().upstream_session.is_some(), "{}", product.preset);
        }
    }
}

#[tokio::test]
async fn what_a_product_signs_must_be_signed() {
    for (preset, signs, reason) in [
        ("entra-saml", Signs::Response, "saml.sig.assertion_required"),
        ("adfs", Signs::Response, "saml.sig.assertion_required"),
        ("okta-saml", Signs::Response, "saml.sig.assertion_required"),
        ("okta-saml", Signs::Assertion, "saml.sig.response_required"),
        ("google-workspace", Signs::Response, "saml.sig.assertion_required"),
        ("shibboleth", Signs::Assertion, "saml.sig.response_required"),
        ("auth0-saml", Signs::Response, "saml.sig.assertion_required"),
    ] {
        let failure = product(preset).sign_in("", signs).await.unwrap_err();
        assert_eq!(failure.reason, reason, "{preset}");
    }
    // and what is chosen there can be said here
    assert!(product("shibboleth").sign_in("signed = \"assertion\"", Signs::Assertion).await.is_ok());
    assert!(product("entra-saml").sign_in("signed = \"response\"", Signs::Response).await.is_ok());
}

#[tokio::test]
async fn the_configuration_goes_before_the_preset() {
    let entra = product("entra-saml");
    let by_name = entra.sign_in("nameid_formats = [\"email\"]", Signs::Assertion).await.unwrap();
    assert_eq!(by_name.identity.key().subject, "adele@contoso.example", "the NameID, not the object id");
    let by_asking = entra.sign_in("nameid_format = \"email\"", Signs::Assertion).await.unwrap();
    assert_eq!(by_asking.identity.key().subject, "adele@contoso.example");
    let own = entra
        .sign_in(
            "subject_attribute = \"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name\"\n\
             attributes = { name = [], nickname = \"http://schemas.microsoft.com/identity/claims/displayname\" }",
            Signs::Assertion,
        )
        .await
        .unwrap();
    assert_eq!(
        own.identity.key().format,
        "attribute:http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"
    );
    assert_eq!(own.identity.profile().name, None);
    assert_eq!(own.identity.profile().nickname.as_deref(), Some("Adele Vance"));
    assert_eq!(own.identity.profile().given_name.as_deref(), Some("Adele"), "the others stay");

    let refused = product("keycloak-saml").sign_in("nameid_formats = [\"email\"]", Signs::Response).await;
    assert_eq!(refused.unwrap_err().reason, "saml.nameid.format");
}

#[tokio::test]
async fn only_a_product_that_honours_it_is_asked_for_a_format() {
    for product in PRODUCTS {
        let bench = product.bench("");
        let begun = bench.begin(|_| {}).await.unwrap();
        let request = Request::of(&begun.departure);
        let asked = request.xml.contains(&format!("Format=\"{PERSISTENT}\""));
        assert_eq!(asked, product.preset == "keycloak-saml", "{}: {}", product.preset, request.xml);
    }
}

#[test]
fn a_preset_with_its_parameters_needs_nothing_but_who_may_come() {
    for (table, entity, metadata) in [
        (
            "preset = \"entra-saml\"\ntenant = \"72f988bf-86f1-41af-91ab-2d7cd011db47\"\n\
             application = \"11111111-2222-3333-4444-555555555555\"",
            "https://sts.windows.net/72f988bf-86f1-41af-91ab-2d7cd011db47/",
            "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/federationmetadata/2007-06/\
             federationmetadata.xml?appid=11111111-2222-3333-4444-555555555555",
        ),
        (
            "preset = \"adfs\"\nhost = \"fs.example.com\"",
            "http://fs.example.com/adfs/services/trust",
            "https://fs.example.com/FederationMetadata/2007-06/FederationMetadata.xml",
        ),
        (
            "preset = \"keycloak-saml\"\nbase_url = \"https://id.example.com\"\nrealm = \"staff\"",
            "https://id.example.com/realms/staff",
            "https://id.example.com/realms/staff/protocol/saml/descriptor",
        ),
    ] {
        let provider = bare(&format!("id = \"acme\"\nprovisioning = \"open\"\n{table}")).unwrap();
        assert_eq!(provider.check(), []);
        let KindSettings::saml(settings) = provider.kind else { panic!("another kind") };
        assert_eq!(settings.entity_id, entity);
        assert_eq!(settings.metadata_url.unwrap().url().as_str(), metadata);
        assert!(settings.trust_metadata_url);
    }
    let elsewhere = "id = \"acme\"\nprovisioning = \"open\"\npreset = \"adfs\"\nhost = \"fs.example.com\"\n\
                     metadata_url = \"https://elsewhere.example/metadata\"";
    let KindSettings::saml(settings) = bare(elsewhere).unwrap().kind else { panic!("another kind") };
    assert!(!settings.trust_metadata_url, "the preset trusts its own address, not another");
}

#[test]
fn every_preset_of_the_kind_has_its_contract() {
    let known: Vec<_> =
        presets::all().iter().filter(|preset| preset.kind() == "saml").map(|preset| preset.name).collect();
    let mut tried: Vec<_> = PRODUCTS.iter().map(|product| product.preset).collect();
    tried.sort_unstable();
    assert_eq!(known, tried);
}

#[tokio::test]
async fn a_missing_object_id_is_not_made_up_from_the_name() {
    let entra = product("entra-saml");
    let bench = entra.bench("");
    let begun = bench.begin(|_| {}).await.unwrap();
    let mut xml = entra.answer(&bench, &Request::of(&begun.departure), Signs::Assertion);
    edit(&mut xml, |tree| tree.remove("Response/Assertion/AttributeStatement/Attribute[2]")).unwrap();
    resign(&mut xml, "Response/Assertion", &Signature::by(Key::rsa())).unwrap();
    let (outcome, _) = bench.finish(&begun, &Message::new(xml, "csst_state")).await;
    assert_eq!(outcome.unwrap_err().reason, "saml.subject_attribute");
}
