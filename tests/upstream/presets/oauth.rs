//! Presets of providers with plain OAuth 2.0. Each test names the pages that say how its provider speaks.

use super::*;
use crate::standin::Reply;
use serde_json::json;

fn fixed_endpoints(preset: &str) -> (String, [String; 4]) {
    let settings = fixed_oauth2(preset, SECRET);
    (settings.issuer(), endpoints(&settings).map(str::to_owned))
}

fn invalid_grant(script: &mut Script) {
    script.token = Box::new(|reply| *reply = Reply::json(400, &json!({"error": "invalid_grant"})));
}

fn status(status: u16, error: Value) -> impl FnOnce(&mut Script) {
    move |script| script.profile = Box::new(move |reply| *reply = Reply::json(status, &error))
}

/// <https://discord.com/developers/docs/resources/user>, <https://discord.com/developers/docs/topics/oauth2>,
/// <https://discord.com/.well-known/oauth-authorization-server>
#[tokio::test]
async fn discord() {
    let (issuer, endpoints) = fixed_endpoints("discord");
    assert_eq!(
        endpoints,
        [
            "https://discord.com/oauth2/authorize",
            "https://discord.com/api/oauth2/token",
            "https://discord.com/api/users/@me",
            "",
        ]
    );
    let more = format!("{SECRET}authoritative_for = [\"discord.example\"]");
    let contract = Contract::oauth2("discord", &more, |script| {
        script.person = json!({
            "id": "80351110224678912", "username": "nelly", "discriminator": "0", "global_name": "Nelly",
            "avatar": "8342729096ea3675442027381ff50dfe", "verified": true, "email": "nelly@discord.example",
        });
        script.response =
            Box::new(|answer| drop(answer.insert("iss".to_owned(), "https://discord.com".to_owned())));
    });
    let vouched = contract.signs_in().await;
    assert_eq!(key(&vouched), (issuer.as_str(), "80351110224678912", ""));
    assert_eq!((email(&vouched), name(&vouched)), (Some(("nelly@discord.example", true)), Some("Nelly")));
    assert_eq!(
        vouched.identity.profile().picture.as_deref(),
        Some("https://cdn.discordapp.com/avatars/80351110224678912/8342729096ea3675442027381ff50dfe.png")
    );
    for verified in [json!(false), json!("true"), json!(1), json!(null)] {
        let vouched = contract
            .signs_in_with(|script| {
                script.person["verified"] = verified;
                script.person["global_name"] = json!(null);
                script.person["avatar"] = json!(null);
            })
            .await;
        assert_eq!(
            (email(&vouched), name(&vouched)),
            (Some(("nelly@discord.example", false)), Some("nelly"))
        );
        assert_eq!(vouched.identity.profile().picture, None);
    }
    contract
        .refuses("oauth2.userinfo.status", status(401, json!({"message": "401: Unauthorized", "code": 0})))
        .await;
    contract.refuses("oauth2.token_error", invalid_grant).await;
    contract
        .declined(
            "oauth2.cancelled",
            &[
                ("error", "access_denied"),
                ("error_description", "The resource owner or authorization server denied the request"),
                ("iss", "https://discord.com"),
            ],
        )
        .await;
    contract.declined("oauth2.iss_param", &[("error", "access_denied")]).await;
    for iss in [None, Some("https://discord.com/"), Some("https://github.com/login/oauth")] {
        contract
            .refuses("oauth2.iss_param", |script| {
                script.response = Box::new(move |answer| {
                    answer.remove("iss");
                    answer.extend(iss.map(|iss| ("iss".to_owned(), iss.to_owned())));
                });
            })
            .await;
    }
}

/// <https://docs.x.com/x-api/users/get-my-user>,
/// <https://docs.x.com/fundamentals/authentication/oauth-2-0/user-access-token>
#[tokio::test]
async fn x() {
    let (issuer, endpoints) = fixed_endpoints("x");
    assert_eq!(
        endpoints,
        [
            "https://x.com/i/oauth2/authorize",
            "https://api.x.com/2/oauth2/token",
            "https://api.x.com/2/users/me",
            "",
        ]
    );
    let more = format!("{SECRET}authoritative_for = [\"x.example\"]");
    let contract = Contract::oauth2("x", &more, |script| {
        script.person = json!({"data": {
            "id": "2244994945", "name": "X Dev", "username": "XDevelopers", "confirmed_email": "dev@x.example",
            "profile_image_url": "https://pbs.twimg.com/profile_images/1/x_normal.jpg",
        }});
    });
    let vouched = contract.signs_in().await;
    assert_eq!(key(&vouched), (issuer.as_str(), "2244994945", ""));
    assert_eq!((email(&vouched), name(&vouched)), (Some(("dev@x.example", true)), Some("X Dev")));
    assert_eq!(contract.last("/me").query["user.fields"], "profile_image_url,confirmed_email");
    // a confidential client authenticates by the header, and PKCE is always due
    let token = contract.last("/token");
    assert!(token.headers["authorization"].starts_with("Basic ") && token.form.contains_key("code_verifier"));
    let vouched = contract
        .signs_in_with(|script| {
            script.profile =
                body(|body| drop(body["data"].as_object_mut().unwrap().remove("confirmed_email")));
        })
        .await;
    assert_eq!(email(&vouched), None);
    // errors of the API, under 200 and above
    let error = json!({"errors": [{"title": "Not Found Error", "type": "https://api.x.com/2/problems/resource-not-found"}]});
    contract.refuses("oauth2.subject", status(200, error)).await;
    contract
        .refuses(
            "oauth2.userinfo.status",
            status(403, json!({"title": "Forbidden", "status": 403, "detail": "x"})),
        )
        .await;
    contract
        .refuses("oauth2.token_error", |script| {
            script.token = Box::new(|reply| {
                let error = json!({"error": "invalid_request", "error_description": "Value passed for the authorization code was invalid."});
                *reply = Reply::json(400, &error);
            });
        })
        .await;
}

/// <https://developer.amazon.com/docs/login-with-amazon/obtain-customer-profile.html>
#[tokio::test]
async fn amazon() {
    let (issuer, endpoints) = fixed_endpoints("amazon");
    assert_eq!(
        endpoints,
        [
            "https://www.amazon.com/ap/oa",
            "https://api.amazon.com/auth/o2/token",
            "https://api.amazon.com/user/profile",
            "",
        ]
    );
    let contract = Contract::oauth2("amazon", SECRET, |script| {
        script.person = json!({
            "user_id": "amzn1.account.K2LI23KL2LK2", "email": "mhashimoto-04@plaxo.example", "name": "Mork Hashimoto",
            "postal_code": "98052",
        });
    });
    let vouched = contract.signs_in().await;
    assert_eq!(key(&vouched), (issuer.as_str(), "amzn1.account.K2LI23KL2LK2", ""));
    assert_eq!(
        (email(&vouched), name(&vouched)),
        (Some(("mhashimoto-04@plaxo.example", false)), Some("Mork Hashimoto"))
    );
    let error = json!({"error": "invalid_token", "error_description": "The access token is invalid.", "request_id": "x"});
    contract.refuses("oauth2.userinfo.status", status(400, error)).await;
    contract.refuses("oauth2.token_error", invalid_grant).await;
    contract
        .declined(
            "oauth2.cancelled",
            &[("error", "access_denied"), ("error_description", "Access not permitted.")],
        )
        .await;
}

/// <https://developer.atlassian.com/cloud/bitbucket/rest/api-group-users/>
#[tokio::test]
async fn bitbucket() {
    let (issuer, endpoints) = fixed_endpoints("bitbucket");
    assert_eq!(
        endpoints,
        [
            "https://bitbucket.org/site/oauth2/authorize",
            "https://bitbucket.org/site/oauth2/access_token",
            "https://api.bitbucket.org/2.0/user",
            "https://api.bitbucket.org/2.0/user/emails",
        ]
    );
    let more =
        format!("{SECRET}emails_url = \"{{origin}}/emails\"\nauthoritative_for = [\"globex.example\"]");
    let contract = Contract::oauth2("bitbucket", &more, |script| {
        script.person = json!({
            "type": "user", "uuid": "{b0ae4c5f-0b0d-4e3c-8a3e-8f3f5f6e7d8c}", "account_id": "557058:x",
            "username": "ann", "display_name": "Ann Lee", "nickname": "ann",
            "links": {"avatar": {"href": "https://avatar-management.example/a.png"}, "html": {"href": "https://bitbucket.org/ann"}},
        });
        script.emails = Box::new(|reply| {
            let list = json!({"pagelen": 10, "size": 2, "page": 1, "values": [
                {"type": "email", "email": "old@globex.example", "is_primary": false, "is_confirmed": true},
                {"type": "email", "email": "ann@globex.example", "is_primary": true, "is_confirmed": true},
            ]});
            *reply = Reply::json(200, &list);
        });
        script.token = Box::new(|reply| {
            if reply.status == 200 {
                reply.edit(|body| {
                    body["scopes"] = json!("account email");
                    body["state"] = json!("authorization_code");
                    body["token_type"] = json!("bearer");
                });
            }
        });
    });
    let vouched = contract.signs_in().await;
    assert_eq!(key(&vouched), (issuer.as_str(), "{b0ae4c5f-0b0d-4e3c-8a3e-8f3f5f6e7d8c}", ""));
    assert_eq!((email(&vouched), name(&vouched)), (Some(("ann@globex.example", true)), Some("Ann Lee")));
    assert_eq!(contract.asks("code_challenge").await, None);
    let unconfirmed =
        json!({"values": [{"email": "ann@globex.example", "is_primary": true, "is_confirmed": false}]});
    let vouched = contract
        .signs_in_with(|script| {
            script.emails = Box::new(move |reply| *reply = Reply::json(200, &unconfirmed))
        })
        .await;
    assert_eq!(email(&vouched), None);
    contract
        .refuses("oauth2.emails.format", |script| {
            script.emails = Box::new(|reply| *reply = Reply::json(200, &json!([])));
        })
        .await;
    let error = json!({"type": "error", "error": {"message": "Your credentials lack one or more required privilege scopes."}});
    contract.refuses("oauth2.userinfo.status", status(403, error)).await;
}

/// <https://developer.paypal.com/docs/log-in-with-paypal/integrate/build-button/>,
/// <https://developer.paypal.com/api/identity/v1/>
#[tokio::test]
async fn paypal() {
    let (issuer, endpoints) = fixed_endpoints("paypal");
    assert_eq!(
        endpoints,
        [
            "https://www.paypal.com/signin/authorize",
            "https://api-m.paypal.com/v1/oauth2/token",
            "https://api-m.paypal.com/v1/identity/oauth2/userinfo",
            "",
        ]
    );
    let more = format!("{SECRET}authoritative_for = [\"shopper.example\"]");
    let id = "https://www.paypal.com/webapps/auth/identity/user/mWq6_1sU85v5EG9yHdPxJRrhGHrnMJ-1PQKtX6pcsmA";
    let contract = Contract::oauth2("paypal", &more, |script| {
        script.person = json!({
            "user_id": "https://www.paypal.com/webapps/auth/identity/user/mWq6_1sU85v5EG9yHdPxJRrhGHrnMJ-1PQKtX6pcsmA",
            "name": "identity test", "given_name": "identity", "family_name": "test", "payer_id": "WDJJHEBZ4X2LY",
            "verified_account": "true",
            "emails": [{"value": "user1@shopper.example", "primary": true, "confirmed": true}],
        });
    });
    let vouched = contract.signs_in().await;
    assert_eq!(key(&vouched), (issuer.as_str(), id, ""));
    assert_eq!(
        (email(&vouched), name(&vouched)),
        (Some(("user1@shopper.example", true)), Some("identity test"))
    );
    assert_eq!(contract.last("/me").query["schema"], "paypalv1.1");
    assert_eq!(contract.asks("flowEntry").await.as_deref(), Some("static"));
    for confirmed in [json!(false), json!(null), json!("true")] {
        let vouched =
            contract.signs_in_with(|script| script.person["emails"][0]["confirmed"] = confirmed).await;
        assert_eq!(email(&vouched), Some(("user1@shopper.example", false)));
    }
    let vouched = contract.signs_in_with(|script| script.person["emails"] = json!([])).await;
    assert_eq!(email(&vouched), None);
    let error = json!({"name": "AUTHENTICATION_FAILURE", "message": "Invalid access token", "debug_id": "x"});
    contract.refuses("oauth2.userinfo.status", status(401, error)).await;
    contract
        .refuses("oauth2.token_error", |script| {
            script.token = Box::new(|reply| {
                let error =
                    json!({"error": "invalid_client", "error_description": "Client Authentication failed"});
                *reply = Reply::json(401, &error);
            });
        })
        .await;
}

/// <https://developers.kakao.com/docs/latest/en/kakaologin/rest-api>,
/// <https://developers.kakao.com/docs/latest/en/kakaologin/trouble-shooting>
#[tokio::test]
async fn kakao() {
    let (issuer, endpoints) = fixed_endpoints("kakao");
    assert_eq!(
        endpoints,
        [
            "https://kauth.kakao.com/oauth/authorize",
            "https://kauth.kakao.com/oauth/token",
            "https://kapi.kakao.com/v2/user/me",
            "",
        ]
    );
    let more = format!("{SECRET}authoritative_for = [\"sample.example\"]");
    let contract = Contract::oauth2("kakao", &more, |script| {
        script.person = json!({
            "id": 123_456_789, "connected_at": "2022-04-11T01:45:28Z",
            "kakao_account": {
                "profile_nickname_needs_agreement": false,
                "profile": {"nickname": "Gildong", "profile_image_url": "https://k.kakaocdn.net/dn/x.jpg"},
                "email_needs_agreement": false, "is_email_valid": true, "is_email_verified": true,
                "email": "sample@sample.example",
            },
        });
    });
    let vouched = contract.signs_in().await;
    assert_eq!(key(&vouched), (issuer.as_str(), "123456789", "integer"));
    assert_eq!((email(&vouched), name(&vouched)), (Some(("sample@sample.example", true)), Some("Gildong")));
    // a scope whose consent item is not set in the app is the error KOE205
    assert_eq!(contract.asks("scope").await, None);
    // asked for so, pictures come by https; others are not taken
    assert_eq!(contract.last("/me").query["secure_resource"], "true");
    let picture = |vouched: &Vouched| vouched.identity.profile().picture.clone();
    assert_eq!(picture(&vouched).as_deref(), Some("https://k.kakaocdn.net/dn/x.jpg"));
    let plain = contract
        .signs_in_with(|script| {
            let profile = &mut script.person["kakao_account"]["profile"];
            profile["profile_image_url"] = json!("http://k.kakaocdn.net/dn/x.jpg");
        })
        .await;
    assert_eq!(picture(&plain), None);
    let both = |request: &mut BeginRequest| {
        (request.select_account, request.force_authentication) = (true, true);
    };
    assert_eq!(contract.wished(|request| request.select_account = true).await["prompt"], "select_account");
    assert_eq!(contract.wished(both).await["prompt"], "login", "a new proof counts for more");
    for name in ["is_email_valid", "is_email_verified"] {
        for value in [json!(false), json!(null), json!("true")] {
            let vouched = contract.signs_in_with(|script| script.person["kakao_account"][name] = value).await;
            assert_eq!(email(&vouched), Some(("sample@sample.example", false)), "{name}");
        }
    }
    contract
        .refuses(
            "oauth2.userinfo.status",
            status(401, json!({"msg": "this access token does not exist", "code": -401})),
        )
        .await;
    contract
        .refuses("oauth2.token_error", |script| {
            script.token = Box::new(|reply| {
                let error = json!({"error": "invalid_grant", "error_description": "authorization code not found", "error_code": "KOE320"});
                *reply = Reply::json(400, &error);
            });
        })
        .await;
    contract
        .declined(
            "oauth2.cancelled",
            &[("error", "access_denied"), ("error_description", "User denied access")],
        )
        .await;
}

fn naver_script(script: &mut Script) {
    script.person = json!({
        "resultcode": "00", "message": "success",
        "response": {
            "id": "32742776", "email": "openapi@naver.example", "nickname": "OpenAPI", "name": "Open API",
            "profile_image": "https://ssl.pstatic.net/static/pwe/address/nodata_33x33.gif", "gender": "F",
        },
    });
    script.token = Box::new(|reply| {
        if reply.status == 200 {
            reply.edit(|body| {
                body["expires_in"] = json!("3600");
                body["token_type"] = json!("bearer");
            });
        } else {
            // errors come under 200
            *reply = Reply::json(
                200,
                &json!({"error": "invalid_request", "error_description": "no valid data in session"}),
            );
        }
    });
    // the token endpoint wants the state too
    script.authenticates = Some(Box::new(|seen| {
        let field = |name: &str| seen.form.get(name).map(String::as_str);
        field("state") == Some("csst_state") && field("client_secret") == Some(crate::standin::CLIENT_SECRET)
    }));
}

/// <https://developers.naver.com/docs/login/api/api.md>, <https://developers.naver.com/docs/login/profile/profile.md>
#[tokio::test]
async fn naver() {
    let (issuer, endpoints) = fixed_endpoints("naver");
    assert_eq!(
        endpoints,
        [
            "https://nid.naver.com/oauth2.0/authorize",
            "https://nid.naver.com/oauth2.0/token",
            "https://openapi.naver.com/v1/nid/me",
            "",
        ]
    );
    let contract = Contract::oauth2("naver", SECRET, naver_script);
    let vouched = contract.signs_in().await;
    assert_eq!(key(&vouched), (issuer.as_str(), "32742776", ""));
    assert_eq!((email(&vouched), name(&vouched)), (Some(("openapi@naver.example", false)), Some("Open API")));
    assert_eq!(contract.asks("code_challenge").await, None);
}

#[tokio::test]
async fn what_naver_refuses() {
    let contract = Contract::oauth2("naver", SECRET, naver_script);
    let error = json!({"resultcode": "024", "message": "Authentication failed"});
    contract.refuses("oauth2.userinfo.status", status(401, error)).await;
    // an error that has a profile all the same is none
    for code in [json!("024"), json!(0), json!(null), json!("0"), json!(["00"])] {
        contract.refuses("oauth2.userinfo.valid", |script| script.person["resultcode"] = code).await;
    }
    contract.refuses("oauth2.token_error", |script| script.authenticates = Some(Box::new(|_| false))).await;
    contract
        .declined(
            "oauth2.cancelled",
            &[("error", "access_denied"), ("error_description", "Canceled By User")],
        )
        .await;
}

/// RFC 6749 as it is written.
#[tokio::test]
async fn any_oauth_provider() {
    let more = format!("name = \"Globex\"\nsubject = \"id\"\n{SECRET}");
    let contract = Contract::oauth2("oauth2", &more, |_| {});
    let vouched = contract.signs_in().await;
    assert_eq!(key(&vouched), (contract.bench.standin.origin(), "1001", ""));
    contract.refuses("oauth2.token_error", invalid_grant).await;
}

#[test]
fn fixed_headers_cannot_take_the_place_of_ours() {
    for header in [
        "Authorization = \"x\"",
        "\"bad name\" = \"x\"",
        "X-Api = \"a\\nb\"",
        "Cookie = \"x\"",
        "Host = \"x\"",
    ] {
        let table = format!("preset = \"github\"\n{TABLE}{SECRET}userinfo_headers = {{ {header} }}");
        let problems = provider(&table).check();
        assert!(problems.iter().any(|problem| problem.key == "userinfo_headers"), "{header}: {problems:?}");
    }
    let fine = format!(
        "preset = \"github\"\n{TABLE}{SECRET}userinfo_headers = {{ Client-Id = \"wbmytr93xzw8zbg0p1izqyzzc5mbiz\" }}"
    );
    assert_eq!(provider(&fine).check(), []);
}
