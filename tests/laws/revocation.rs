//! Sessions, grants and what is made by command.

use crate::fixtures::*;
use crate::laws;
use crate::place::Place;
use countersign::accounts::{Group, Role};
use countersign::clients::{AuthMethod, Client, Consent, GrantType, Origin, ResourceServer, SigningAlg};
use countersign::context::Timestamp;
use countersign::ids::{ClientId, KeyId};
use countersign::protocol::Scope;
use countersign::store::{CodeOutcome, StoreError};
use countersign::tokens::{KeyRecord, KeyState};

laws!(
    revoking_says_whether_it_changed_anything,
    revoking_many_reaches_all_and_only_them,
    a_revoked_session_is_neither_touched_nor_renewed,
    a_session_is_used_forward_in_time,
    a_revoked_token_is_remembered,
    a_consent_is_replaced_and_forgotten,
    what_is_made_by_command_reads_back,
    changes_by_command_are_noticed_by_other_processes,
    keys_read_back_and_are_changed_one_at_a_time,
    of_an_algorithm_one_key_is_active_and_one_is_next,
    pending_rows_expire,
    admin_033_a_new_epoch_ends_all_that_was_given_out_and_nothing_else,
);

const LATER: Timestamp = Timestamp(NOW.0 + 1);

async fn revoking_says_whether_it_changed_anything(place: Place) {
    let store = place.store();
    let (a, g) = with_grant(&store).await;
    let s = session(&a.id);
    let (id, copy) = (s.id.clone(), s.clone());
    write(&store, move |tx| tx.insert_session(&copy, &digest())).await.unwrap();
    let grant_id = g.id.clone();
    let answers = race(&store, move |tx, _| {
        Ok((tx.revoke_grant(&grant_id, LATER)?, tx.end_session(&id, LATER)?.is_some()))
    })
    .await;
    assert_eq!(count(&answers, |(grant, _)| *grant), 1);
    assert_eq!(count(&answers, |(_, session)| *session), 1);
    write(&store, move |tx| {
        assert!(!tx.grant_live(&g.id)?);
        assert_eq!(tx.grant(&g.id)?.unwrap().revoked_at, Some(LATER));
        assert_eq!(tx.session(&s.id)?.unwrap().revoked_at, Some(LATER));
        assert!(!tx.revoke_grant(&ids().grant_id(), LATER)?);
        assert!(!tx.grant_live(&ids().grant_id())?);
        assert!(tx.end_session(&ids().session_id(), LATER)?.is_none());
        Ok(())
    })
    .await
    .unwrap();
}

async fn revoking_many_reaches_all_and_only_them(place: Place) {
    let store = place.store();
    write(&store, |tx| {
        let (a, b) = (account(), account());
        tx.insert_account(&a)?;
        tx.insert_account(&b)?;
        let shared = session(&a.id);
        for _ in 0..3 {
            tx.insert_session(&session(&a.id), &digest())?;
            let mut of_session = grant(&a.id);
            of_session.session = shared.id.clone();
            tx.insert_grant(&of_session)?;
            let mut of_client = grant(&a.id);
            of_client.client = ClientId::new("other").unwrap();
            tx.insert_grant(&of_client)?;
            tx.insert_grant(&grant(&a.id))?;
        }
        let (other, other_session) = (grant(&b.id), session(&b.id));
        tx.insert_grant(&other)?;
        tx.insert_session(&other_session, &digest())?;

        assert_eq!(tx.grants_of(&a.id)?.len(), 9);
        assert_eq!(tx.sessions_of(&a.id)?.len(), 3);
        assert_eq!(tx.end_sessions_of(&a.id, LATER)?, 3);
        assert_eq!(tx.end_sessions_of(&a.id, LATER)?, 0);
        assert_eq!(tx.grants_of(&a.id)?.len(), 9, "none of them was made in one of these sessions");
        tx.insert_session(&shared, &digest())?;
        assert_eq!(tx.end_session(&shared.id, LATER)?, Some(Vec::new()));
        assert_eq!(tx.grants_of(&a.id)?.len(), 6);
        assert_eq!(tx.revoke_grants_of_client(&ClientId::new("other").unwrap(), LATER)?, 3);
        assert_eq!(tx.revoke_grants_of_account(&a.id, LATER)?, 3);
        assert_eq!(tx.revoke_grants_of_account(&a.id, LATER)?, 0);
        assert_eq!(tx.grants_of(&a.id)?, []);
        assert!(tx.grant_live(&other.id)?);
        assert_eq!(tx.session(&other_session.id)?, Some(other_session));
        Ok(())
    })
    .await
    .unwrap();
}

async fn a_revoked_session_is_neither_touched_nor_renewed(place: Place) {
    let store = place.store();
    write(&store, |tx| {
        let a = account();
        let (s, secret) = (session(&a.id), digest());
        tx.insert_account(&a)?;
        tx.insert_session(&s, &secret)?;
        assert!(tx.end_session(&s.id, NOW)?.is_some());
        assert!(!tx.touch_session(&s.id, LATER)?);
        assert!(!tx.renew_session(&s.id, &secret, &digest(), &s.proofs, s.expires_at, LATER)?);
        // a caller that does not know the present secret renews nothing
        let (live, secret) = (session(&a.id), digest());
        tx.insert_session(&live, &secret)?;
        assert!(!tx.renew_session(&live.id, &digest(), &digest(), &s.proofs, s.expires_at, LATER)?);
        assert_eq!(tx.session_by_secret(&secret)?, Some(live));
        Ok(())
    })
    .await
    .unwrap();
}

async fn a_session_is_used_forward_in_time(place: Place) {
    let store = place.store();
    write(&store, |tx| {
        let a = account();
        let s = session(&a.id);
        tx.insert_account(&a)?;
        tx.insert_session(&s, &digest())?;
        assert!(tx.touch_session(&s.id, LATER)?);
        assert!(!tx.touch_session(&s.id, NOW)?);
        assert_eq!(tx.session(&s.id)?.unwrap().last_seen_at, LATER);
        Ok(())
    })
    .await
    .unwrap();
}

async fn a_revoked_token_is_remembered(place: Place) {
    let store = place.store();
    write(&store, |tx| {
        assert!(!tx.is_jti_revoked("grant.1")?);
        assert!(tx.revoke_jti("grant.1", NOW.plus(HOUR))?);
        assert!(!tx.revoke_jti("grant.1", NOW.plus(HOUR))?);
        assert!(tx.is_jti_revoked("grant.1")?);
        tx.sweep(NOW, 100)?;
        assert!(tx.is_jti_revoked("grant.1")?);
        assert!(!tx.is_jti_revoked("grant.2")?);
        Ok(())
    })
    .await
    .unwrap();
}

async fn a_consent_is_replaced_and_forgotten(place: Place) {
    let store = place.store();
    write(&store, |tx| {
        let a = account();
        tx.insert_account(&a)?;
        let mut consent = Consent {
            account: a.id.clone(),
            client: client(),
            scope: Scope::parse("openid email").unwrap(),
            claims: Default::default(),
            given_at: NOW,
        };
        assert_eq!(tx.consent(&a.id, &client())?, None);
        tx.put_consent(&consent)?;
        consent.scope = Scope::parse("openid email groups").unwrap();
        consent.claims = ["name".to_owned(), "phone_number".to_owned()].into();
        consent.given_at = LATER;
        tx.put_consent(&consent)?;
        assert_eq!(tx.consent(&a.id, &client())?, Some(consent));
        assert!(tx.delete_consent(&a.id, &client())?);
        assert!(!tx.delete_consent(&a.id, &client())?);
        Ok(())
    })
    .await
    .unwrap();
}

fn created_client(id: &str) -> Client {
    Client {
        id: ClientId::new(id).unwrap(),
        name: "An app".to_owned(),
        auth_methods: [AuthMethod::ClientSecretBasic].into(),
        secret_hashes: vec![digest().as_str().to_owned()],
        redirect_uris: ["https://app.test/callback".to_owned()].into(),
        post_logout_redirect_uris: Default::default(),
        origins: Default::default(),
        grant_types: [GrantType::AuthorizationCode, GrantType::RefreshToken].into(),
        scope: Scope::parse("openid").unwrap(),
        resources: Default::default(),
        first_party: false,
        require_pkce: true,
        id_token_alg: SigningAlg::RS256,
        access_token_alg: SigningAlg::ES256,
        claims_in_id_token: false,
        assignments: Default::default(),
        access_token_lifetime: Some(HOUR),
        refresh_token_lifetime: None,
        default_provider: None,
        providers: Default::default(),
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

async fn what_is_made_by_command_reads_back(place: Place) {
    let store = place.store();
    write(&store, |tx| {
        let (mut one, two) = (created_client("one"), created_client("two"));
        tx.put_client(&two)?;
        tx.put_client(&one)?;
        assert_eq!(tx.clients()?, [one.clone(), two.clone()]);
        one.disabled = true;
        tx.put_client(&one)?;
        assert_eq!(tx.clients()?, [one, two.clone()]);
        assert!(tx.remove_client(&ClientId::new("one").unwrap())?);
        assert!(!tx.remove_client(&ClientId::new("one").unwrap())?);
        assert_eq!(tx.clients()?, [two]);

        let server = ResourceServer {
            id: ClientId::new("api").unwrap(),
            name: "An API".to_owned(),
            secret_hashes: vec![],
            resource: "urn:demo:api".to_owned(),
            default_audience: true,
            disabled: false,
            origin: Origin::Created,
        };
        tx.put_resource_server(&server)?;
        assert_eq!(tx.resource_servers()?, std::slice::from_ref(&server));
        assert!(tx.remove_resource_server(&server.id)?);
        assert_eq!(tx.resource_servers()?, []);

        let (group, role) = ("engineers".parse().unwrap(), "editor".parse().unwrap());
        let about = Group { roles: [role].into(), ..Group::default() };
        tx.put_group(&group, &about)?;
        assert_eq!(tx.groups()?, [(group.clone(), about)].into());
        assert!(tx.remove_group(&group)?);
        assert!(!tx.remove_group(&group)?);
        let role = "editor".parse().unwrap();
        let about = Role { permissions: ["notes:write".parse().unwrap()].into(), ..Role::default() };
        tx.put_role(&role, &about)?;
        assert_eq!(tx.roles()?, [(role.clone(), about)].into());
        assert!(tx.remove_role(&role)?);
        assert!(tx.roles()?.is_empty() && tx.groups()?.is_empty());

        tx.put_meta("epoch", "1")?;
        tx.put_meta("epoch", "2")?;
        assert_eq!(tx.meta("epoch")?.as_deref(), Some("2"));
        assert_eq!(tx.init_meta("epoch", "3")?, "2");
        Ok(())
    })
    .await
    .unwrap();
}

async fn changes_by_command_are_noticed_by_other_processes(place: Place) {
    let (serving, command) = (place.store(), place.open());
    let group: countersign::ids::GroupName = "engineers".parse().unwrap();
    let role: countersign::ids::RoleName = "editor".parse().unwrap();
    let mut last = read(&serving, |tx| tx.config_version()).await.unwrap();
    type Change = Box<dyn FnOnce(&mut countersign::store::Tx<'_>) -> Result<(), StoreError> + Send>;
    let changes: Vec<Change> = vec![
        Box::new(|tx| tx.put_client(&created_client("one"))),
        Box::new(|tx| tx.remove_client(&ClientId::new("one").unwrap()).map(drop)),
        Box::new({
            let group = group.clone();
            move |tx| tx.put_group(&group, &Group::default())
        }),
        Box::new(move |tx| tx.remove_group(&group).map(drop)),
        Box::new({
            let role = role.clone();
            move |tx| tx.put_role(&role, &Role::default())
        }),
        Box::new(move |tx| tx.remove_role(&role).map(drop)),
        Box::new(|tx| tx.insert_key(&key(SigningAlg::ES256, KeyState::Next))),
        Box::new(|tx| tx.bump_config_version()),
    ];
    for change in changes {
        write(&command, change).await.unwrap();
        let now = read(&serving, |tx| tx.config_version()).await.unwrap();
        assert!(now > last);
        last = now;
    }
    let answers = race(&command, |tx, _| tx.bump_config_version()).await;
    assert_eq!(count(&answers, |()| true), RACERS);
    let now = read(&serving, |tx| tx.config_version()).await.unwrap();
    assert_eq!(now, last + u64::try_from(RACERS).unwrap(), "no change is lost");
}

fn key(alg: SigningAlg, state: KeyState) -> KeyRecord {
    KeyRecord {
        id: KeyId::new(ids().token_id()).unwrap(),
        alg,
        issuer: "http://localhost:8080".to_owned(),
        state,
        sealed: vec![0, 1, 2, 255],
        created_at: NOW,
        activates_at: Some(NOW.plus(HOUR)),
        retired_at: None,
        longest_token: HOUR,
    }
}

async fn keys_read_back_and_are_changed_one_at_a_time(place: Place) {
    let store = place.store();
    // of many processes that find a first key missing, one makes it
    let answers = race(&store, |tx, _| {
        tx.hold_keys()?;
        let missing = tx.keys()?.is_empty();
        if missing {
            tx.insert_key(&key(SigningAlg::ES256, KeyState::Active))?;
        }
        Ok(missing)
    })
    .await;
    assert_eq!(count(&answers, |made| *made), 1);
    write(&store, |tx| {
        let mut first = tx.keys()?.pop().unwrap();
        assert_eq!(first.sealed, [0, 1, 2, 255]);
        assert_eq!(tx.insert_key(&first), Err(StoreError::Conflict("key")));
        first.state = KeyState::Retired;
        first.sealed = vec![9];
        first.activates_at = None;
        first.retired_at = Some(NOW.plus(2 * HOUR));
        first.longest_token = 3 * HOUR;
        assert!(tx.update_key(&first)?);
        assert_eq!(tx.keys()?, [first.clone()]);
        assert!(tx.delete_key(&first.id)?);
        assert!(!tx.delete_key(&first.id)?);
        assert!(!tx.update_key(&first)?);
        Ok(())
    })
    .await
    .unwrap();
}

async fn of_an_algorithm_one_key_is_active_and_one_is_next(place: Place) {
    let store = place.store();
    write(&store, |tx| {
        for state in [KeyState::Active, KeyState::Next] {
            tx.insert_key(&key(SigningAlg::ES256, state))?;
            assert_eq!(tx.insert_key(&key(SigningAlg::ES256, state)), Err(StoreError::Conflict("key")));
            tx.insert_key(&key(SigningAlg::EdDSA, state))?;
        }
        let mut retired = key(SigningAlg::ES256, KeyState::Retired);
        tx.insert_key(&retired)?;
        tx.insert_key(&key(SigningAlg::ES256, KeyState::Retired))?;
        for state in [KeyState::Active, KeyState::Next] {
            retired.state = state;
            assert_eq!(tx.update_key(&retired), Err(StoreError::Conflict("key")));
        }
        assert_eq!(tx.keys()?.len(), 6, "and the transaction goes on");
        Ok(())
    })
    .await
    .unwrap();
}

async fn pending_rows_expire(place: Place) {
    let store = place.store();
    write(&store, |tx| {
        let (one, end) = (digest(), NOW.plus(HOUR));
        tx.put_pending(&one, b"first", end)?;
        tx.put_pending(&one, &[0; 100_000], end)?;
        assert_eq!(tx.pending(&one, NOW)?, Some(vec![0; 100_000]));
        assert_eq!(tx.pending(&one, end)?, None);
        assert_eq!(tx.pending(&digest(), NOW)?, None);
        assert!(tx.delete_pending(&one)?);
        assert!(!tx.delete_pending(&one)?);
        Ok(())
    })
    .await
    .unwrap();
}

async fn admin_033_a_new_epoch_ends_all_that_was_given_out_and_nothing_else(place: Place) {
    let store = place.store();
    let (a, g) = with_grant(&store).await;
    let (s, key) = (session(&a.id), digest());
    let (c, r) = (code(&g), refresh(&g));
    let (copy, code_digest) = (s.clone(), c.digest.clone());
    let (account, waiting) = (a.id.clone(), digest());
    let kept = waiting.clone();
    write(&store, move |tx| {
        tx.insert_session(&copy, &key)?;
        tx.insert_code(&c)?;
        tx.insert_refresh(&r)?;
        tx.put_pending(&waiting, b"sealed", NOW.plus(HOUR))?;
        assert!(tx.use_once("state", &waiting, NOW.plus(HOUR))?);
        tx.insert_identity(&identity(&account, "globex", "alice"))
    })
    .await
    .unwrap();
    let before = read(&store, |tx| tx.config_version()).await.unwrap();
    let ended = write(&store, |tx| tx.end_everything(LATER)).await.unwrap();
    assert_eq!((ended.sessions, ended.grants), (1, 1));
    let again = write(&store, |tx| tx.end_everything(LATER)).await.unwrap();
    assert_eq!((again.sessions, again.grants, again.keys), (0, 0, 0), "there is nothing left");
    write(&store, move |tx| {
        assert_eq!(tx.session(&s.id)?.unwrap().revoked_at, Some(LATER));
        assert!(!tx.grant_live(&g.id)?);
        assert!(matches!(tx.consume_code(&code_digest, NOW)?, CodeOutcome::Unknown));
        assert_eq!(tx.pending(&kept, NOW)?, None);
        assert!(!tx.use_once("state", &kept, NOW.plus(HOUR))?, "what was used stays used");
        assert!(tx.config_version()? > before, "running servers notice");
        assert_eq!(tx.account(&a.id)?.unwrap().status, a.status);
        assert_eq!(tx.identities_of(&a.id)?.len(), 1);
        Ok(())
    })
    .await
    .unwrap();
}
