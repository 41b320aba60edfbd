use super::accounts::Invite;
use super::*;
use crate::accounts::{
    Account, AccountEmail, AccountStatus, EmailAddress, EmailProof, Group, Profile, Provenance, Role, Target,
};
use crate::clients::{AuthMethod, Client, GrantType, SigningAlg};
use crate::config::{Inputs, load};
use crate::context::Timestamp;
use crate::ids::{AccountId, ClientId};
use crate::protocol::Scope;
use crate::tokens::handle::Digest;
use secrecy::ExposeSecret as _;
use std::time::Duration;

const CONFIG: &str = r#"
issuer = "http://localhost:8080"
development = true
master_key = "file:key"
[[client]]
id = "declared"
public = true
redirect_uris = ["https://a.test/cb"]
[groups.staff]
roles = ["editor"]
[roles.editor]
permissions = ["notes:write"]
[[assign]]
email = "ann@a.test"
roles = ["editor"]
"#;

struct House {
    desk: Desk,
    _folder: tempfile::TempDir,
}

fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("countersign.toml");
    std::fs::write(&path, CONFIG).unwrap();
    let inputs = Inputs { env: Arc::new(|_: &str| None), ..Inputs::new(path, None) };
    let settings = load(&inputs).unwrap().settings;
    let store = Store::open(&settings.database).unwrap();
    store.migrate().unwrap();
    let providers = BTreeSet::from([ProviderId::new("globex").unwrap()]);
    let desk = Desk { context: Context::system(), store, settings, providers, admin: "root".to_owned() };
    House { desk, _folder: folder }
}

fn client(id: &str, public: bool) -> Client {
    let method = if public { AuthMethod::None } else { AuthMethod::ClientSecretBasic };
    Client {
        id: ClientId::new(id).unwrap(),
        name: id.to_owned(),
        auth_methods: BTreeSet::from([method]),
        secret_hashes: Vec::new(),
        redirect_uris: BTreeSet::from(["https://a.test/cb".to_owned()]),
        post_logout_redirect_uris: BTreeSet::new(),
        origins: BTreeSet::new(),
        grant_types: BTreeSet::from([GrantType::AuthorizationCode]),
        scope: Scope::parse("openid").unwrap(),
        resources: BTreeSet::new(),
        first_party: false,
        require_pkce: true,
        id_token_alg: SigningAlg::RS256,
        access_token_alg: SigningAlg::RS256,
        claims_in_id_token: false,
        assignments: BTreeSet::new(),
        access_token_lifetime: None,
        refresh_token_lifetime: None,
        default_provider: None,
        providers: BTreeSet::new(),
        home_uri: None,
        keys: None,
        assertions: Default::default(),
        requests: Default::default(),
        sign_in: Default::default(),
        logout: Default::default(),
        subjects: Default::default(),
        shapes: Default::default(),
        userinfo_alg: None,
        about: Default::default(),
        disabled: false,
        origin: Origin::Created,
    }
}

async fn account(desk: &Desk, address: &str, proved: bool) -> AccountId {
    let id = desk.context.account_id();
    let proof = proved.then(|| EmailProof::Provider(ProviderId::new("globex").unwrap()));
    let account = Account {
        id: id.clone(),
        status: AccountStatus::Active,
        profile: Profile::default(),
        emails: vec![AccountEmail {
            address: EmailAddress::parse(address).unwrap(),
            proof,
            lapsed: None,
            primary: true,
        }],
        created_at: Timestamp(1),
        updated_at: Timestamp(1),
    };
    desk.store.write(move |tx| -> Result<(), StoreError> { tx.insert_account(&account) }).await.unwrap();
    id
}

async fn kinds(desk: &Desk) -> Vec<AuditKind> {
    let records = desk.store.read(|tx| -> Result<_, StoreError> { tx.audit(None, 100) }).await.unwrap();
    assert!(records.iter().all(|record| record.event.actor == Actor::Admin("root".to_owned())));
    records.into_iter().rev().map(|record| record.event.kind).collect()
}

async fn version(desk: &Desk) -> u64 {
    desk.store.read(|tx| -> Result<_, StoreError> { tx.config_version() }).await.unwrap()
}

#[tokio::test]
async fn a_client_is_made_changed_and_removed() {
    let house = house();
    let desk = &house.desk;
    let before = version(desk).await;
    let made = desk.add_client(client("shop", false)).await.unwrap();
    let first = made.secret.unwrap();
    assert!(first.expose().starts_with("cssec_"));
    assert!(version(desk).await > before, "running servers notice");
    let id = ClientId::new("shop").unwrap();
    assert_eq!(desk.client(&id).await.unwrap().secret_hashes, [first.digest().as_str()]);

    let second = desk.rotate_secret(&id, true).await.unwrap().secret.unwrap();
    let hashes = desk.client(&id).await.unwrap().secret_hashes;
    assert_eq!(hashes, [second.digest().as_str(), first.digest().as_str()]);
    let third = desk.rotate_secret(&id, false).await.unwrap().secret.unwrap();
    assert_eq!(desk.client(&id).await.unwrap().secret_hashes, [Digest::of(third.expose()).as_str()]);

    desk.remove_client(&id).await.unwrap();
    assert!(matches!(desk.client(&id).await, Err(AdminError::NotFound { .. })));
    use AuditKind::{ClientCreated, ClientRemoved, ClientSecretRotated};
    assert_eq!(kinds(desk).await, [ClientCreated, ClientSecretRotated, ClientSecretRotated, ClientRemoved]);
}

#[tokio::test]
async fn a_client_that_breaks_a_rule_is_not_made_and_leaves_no_trace() {
    let house = house();
    let desk = &house.desk;
    let bad: [Client; 9] = [
        Client { redirect_uris: BTreeSet::from(["javascript:alert(1)".to_owned()]), ..client("a", true) },
        Client { redirect_uris: BTreeSet::new(), ..client("a", false) },
        Client { grant_types: BTreeSet::from([GrantType::ClientCredentials]), ..client("a", true) },
        Client { grant_types: BTreeSet::from([GrantType::RefreshToken]), ..client("a", false) },
        Client { scope: Scope::parse("openid nope").unwrap(), ..client("a", false) },
        Client { resources: BTreeSet::from(["urn:nope".to_owned()]), ..client("a", false) },
        Client { default_provider: Some(ProviderId::new("nope").unwrap()), ..client("a", false) },
        Client {
            assignments: BTreeSet::from([Target::Role(RoleName::new("nope").unwrap())]),
            ..client("a", false)
        },
        client("declared", false),
    ];
    for (i, bad) in bad.into_iter().enumerate() {
        assert!(desk.add_client(bad).await.is_err(), "{i}");
    }
    assert_eq!(desk.clients().await.unwrap().len(), 1);
    assert_eq!(kinds(desk).await, []);
}

#[tokio::test]
async fn what_is_declared_is_read_only() {
    let house = house();
    let desk = &house.desk;
    let declared = |outcome: Result<(), AdminError>| matches!(outcome, Err(AdminError::Declared { .. }));
    let id = ClientId::new("declared").unwrap();
    assert!(declared(desk.remove_client(&id).await));
    assert!(declared(desk.rotate_secret(&id, false).await.map(drop)));
    let (staff, editor) = (GroupName::new("staff").unwrap(), RoleName::new("editor").unwrap());
    for replace in [true, false] {
        assert!(declared(desk.put_group(staff.clone(), Group::default(), replace).await));
        assert!(declared(desk.put_role(editor.clone(), Role::default(), replace).await));
    }
    assert!(declared(desk.remove_group(staff).await));
    assert!(declared(desk.remove_role(editor.clone()).await));

    account(desk, "ann@a.test", true).await;
    let refused = desk.revoke("ann@a.test", Target::Role(editor)).await.unwrap_err();
    assert!(refused.to_string().contains("configuration file"), "{refused}");
    assert_eq!(kinds(desk).await, []);
}

#[tokio::test]
async fn groups_nest_without_circles_and_removal_takes_them_from_everyone() {
    let house = house();
    let desk = &house.desk;
    let name = |text: &str| GroupName::new(text).unwrap();
    let under = |parent: &str| Group { member_of: BTreeSet::from([name(parent)]), ..Group::default() };
    desk.put_group(name("a"), under("staff"), false).await.unwrap();
    desk.put_group(name("b"), under("a"), false).await.unwrap();
    let circle = desk.put_group(name("a"), under("b"), true).await.unwrap_err();
    assert!(circle.to_string().contains("a → b → a"), "{circle}");
    assert!(matches!(desk.put_group(name("a"), under("staff"), false).await, Err(AdminError::Taken { .. })));
    assert!(matches!(
        desk.put_group(name("c"), under("nope"), false).await,
        Err(AdminError::NotFound { .. })
    ));
    assert!(desk.remove_group(name("a")).await.is_err(), "b is a member of it");

    let id = account(desk, "bob@a.test", false).await;
    desk.grant(id.as_str(), Target::Group(name("b"))).await.unwrap();
    let view = desk.account(id.as_str()).await.unwrap();
    assert_eq!(view.access.groups.len(), 3);
    assert_eq!(view.access.permissions.iter().map(|p| p.as_str()).collect::<Vec<_>>(), ["notes:write"]);
    desk.remove_group(name("b")).await.unwrap();
    desk.put_group(name("b"), Group::default(), false).await.unwrap();
    assert!(desk.account(id.as_str()).await.unwrap().access.groups.is_empty(), "nobody is in the new one");
}

#[tokio::test]
async fn suspension_ends_what_was_out_for_good() {
    let house = house();
    let desk = &house.desk;
    let id = account(desk, "ann@a.test", true).await;
    assert!(desk.suspend("ANN@a.test").await.unwrap());
    assert!(!desk.suspend("ann@a.test").await.unwrap());
    assert_eq!(desk.account(id.as_str()).await.unwrap().account.status, AccountStatus::Suspended);
    assert!(desk.activate(id.as_str()).await.unwrap());
    desk.remove_account(id.as_str()).await.unwrap();
    assert!(matches!(desk.find_account("ann@a.test").await, Err(AdminError::NotFound { .. })));
    assert!(matches!(desk.find_account(id.as_str()).await, Err(AdminError::NotFound { .. })));
    use AuditKind::{AccountActivated, AccountDeleted, AccountSuspended};
    assert_eq!(kinds(desk).await, [AccountSuspended, AccountActivated, AccountDeleted]);
}

#[tokio::test]
async fn a_grant_by_hand_can_be_taken_back_by_any_administrator() {
    let house = house();
    let desk = &house.desk;
    account(desk, "bob@a.test", true).await;
    let editor = Target::Role(RoleName::new("editor").unwrap());
    assert!(desk.grant("bob@a.test", editor.clone()).await.unwrap());
    assert!(!desk.grant("bob@a.test", editor.clone()).await.unwrap());
    let given = desk.account("bob@a.test").await.unwrap().assignments;
    assert_eq!(given[0].provenance, Provenance::Admin("root".to_owned()));
    let other = Desk { admin: "root".to_owned(), ..desk.clone() };
    assert!(other.revoke("bob@a.test", editor.clone()).await.unwrap());
    assert!(!other.revoke("bob@a.test", editor).await.unwrap());
    let nope = Target::Group(GroupName::new("nope").unwrap());
    assert!(matches!(desk.grant("bob@a.test", nope).await, Err(AdminError::NotFound { .. })));
    assert_eq!(kinds(desk).await, [AuditKind::AssignmentAdded, AuditKind::AssignmentRemoved]);
}

#[tokio::test]
async fn an_address_means_the_one_who_proved_it_and_never_one_of_several() {
    let house = house();
    let desk = &house.desk;
    account(desk, "eve@a.test", false).await;
    account(desk, "eve@a.test", false).await;
    assert!(desk.find_account("eve@a.test").await.unwrap_err().to_string().contains("several"));
    let real = account(desk, "eve@a.test", true).await;
    assert_eq!(desk.find_account("eve@a.test").await.unwrap(), real);
}

#[tokio::test]
async fn nothing_is_given_to_whoever_merely_says_an_address() {
    let house = house();
    let desk = &house.desk;
    let mallory = account(desk, "ann@a.test", false).await;
    let editor = Target::Role(RoleName::new("editor").unwrap());
    let refused = desk.grant("ann@a.test", editor.clone()).await.unwrap_err();
    assert!(refused.to_string().contains(mallory.as_str()), "{refused}");
    assert!(desk.account("ann@a.test").await.unwrap().assignments.is_empty());
    assert!(desk.grant(mallory.as_str(), editor).await.unwrap(), "by id it is meant");
}

#[tokio::test]
async fn an_invitation_is_kept_only_as_a_digest() {
    let house = house();
    let desk = &house.desk;
    let invite = |group: &str| Invite {
        email: None,
        provider: Some(ProviderId::new("globex").unwrap()),
        groups: BTreeSet::from([GroupName::new(group).unwrap()]),
        lifetime: Duration::from_secs(60),
    };
    assert!(desk.invite(invite("nope")).await.is_err());
    let secret = desk.invite(invite("staff")).await.unwrap();
    let digest = secret.digest();
    let stored =
        desk.store.read(move |tx| -> Result<_, StoreError> { tx.invitation(&digest) }).await.unwrap();
    assert_eq!(stored.unwrap().created_by, "root");
    assert_eq!(kinds(desk).await, [AuditKind::InvitationCreated]);
}

#[tokio::test]
async fn of_many_who_make_one_client_at_once_one_succeeds() {
    let house = house();
    let tries = (0..20).map(|_| house.desk.add_client(client("shop", false)));
    let outcomes = futures_util::future::join_all(tries).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(kinds(&house.desk).await, [AuditKind::ClientCreated]);
}

#[tokio::test]
async fn whoever_is_asked_about_a_subject_finds_its_account() {
    let house = house();
    let desk = &house.desk;
    let (ann, bob) = (account(desk, "ann@a.test", true).await, account(desk, "bob@a.test", true).await);
    let mut made = client("private", false);
    made.subjects.pairwise = true;
    desk.add_client(made.clone()).await.unwrap();
    let sealer = crate::tokens::seal::Sealer::new(desk.settings.master_key.expose_secret()).unwrap();
    let subjects = crate::flow::subjects::load(&desk.context, &desk.store, &sealer).await.unwrap();
    let own = subjects.of(&made, &bob).unwrap();
    assert_eq!(desk.account_known_as(&made.id, &own).await.unwrap(), bob);
    let declared = ClientId::new("declared").unwrap();
    assert_eq!(
        desk.account_known_as(&declared, ann.as_str()).await.unwrap(),
        ann,
        "a public subject is the id"
    );
    for (client, sub) in [(&declared, own.as_str()), (&made.id, bob.as_str()), (&made.id, "")] {
        let found = desk.account_known_as(client, sub).await;
        assert!(matches!(found, Err(AdminError::NotFound { .. })), "{sub}: {found:?}");
    }
}

#[tokio::test]
async fn a_client_whose_subjects_have_no_sector_or_whose_claims_collide_is_not_made() {
    let house = house();
    let desk = &house.desk;
    let with = |change: fn(&mut Client)| {
        let mut client = client("app", false);
        client.subjects.pairwise = true;
        change(&mut client);
        client
    };
    for bad in [
        with(|c| c.redirect_uris.extend(["https://b.test/cb".to_owned()])),
        with(|c| c.subjects.sector_identifier_uri = Some("http://a.test/list".to_owned())),
        with(|c| {
            c.subjects.pairwise = false;
            c.subjects.sector_identifier_uri = Some("https://a.test/list".to_owned());
        }),
        with(|c| c.shapes.groups.name = Some("sub".to_owned())),
        with(|c| c.shapes.groups.name = Some("roles".to_owned())),
    ] {
        assert!(matches!(desk.add_client(bad).await, Err(AdminError::Refused(_))));
    }
    let good = with(|c| {
        c.redirect_uris.insert("https://b.test/cb".to_owned());
        c.subjects.sector_identifier_uri = Some("https://a.test/list".to_owned());
        c.shapes.groups.name = Some("teams".to_owned());
    });
    desk.add_client(good).await.unwrap();
}
