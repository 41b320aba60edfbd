//! The tables as diesel sees them, the same for both databases.

diesel::table! {
    accounts (id) {
        id -> Text,
        status -> Text,
        profile -> Text,
        search -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    account_emails (account, canonical) {
        account -> Text,
        canonical -> Text,
        written -> Text,
        proof -> Nullable<Text>,
        is_primary -> Bool,
        lapsed -> Nullable<Text>,
    }
}

diesel::table! {
    identities (id) {
        id -> Text,
        account -> Text,
        provider -> Text,
        issuer -> Text,
        subject -> Text,
        format -> Text,
        label -> Nullable<Text>,
        linked_at -> BigInt,
        last_used_at -> BigInt,
        said -> Text,
    }
}

diesel::table! {
    deletions (digest) {
        digest -> Text,
        provider -> Text,
        outcome -> Text,
        done_at -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    assignments (account, kind, name, origin, source, rule) {
        account -> Text,
        kind -> Text,
        name -> Text,
        origin -> Text,
        source -> Text,
        rule -> Text,
        assigned_at -> BigInt,
    }
}

diesel::table! {
    groups (name) {
        name -> Text,
        body -> Text,
    }
}

diesel::table! {
    roles (name) {
        name -> Text,
        body -> Text,
    }
}

diesel::table! {
    sessions (id) {
        id -> Text,
        secret -> Text,
        account -> Text,
        proofs -> Text,
        created_at -> BigInt,
        last_seen_at -> BigInt,
        expires_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
        browser -> Nullable<Text>,
    }
}

diesel::table! {
    session_proofs (kind, key, session) {
        kind -> Text,
        key -> Text,
        session -> Text,
    }
}

diesel::table! {
    session_clients (session, client) {
        session -> Text,
        client -> Text,
        backchannel_uri -> Nullable<Text>,
        alg -> Text,
        sub -> Text,
        sid -> Text,
    }
}

diesel::table! {
    logout_deliveries (id) {
        id -> Text,
        session -> Text,
        client -> Text,
        account -> Text,
        uri -> Text,
        alg -> Text,
        sub -> Text,
        sid -> Text,
        queued_at -> BigInt,
        state -> Text,
        attempts -> BigInt,
        due_at -> BigInt,
        last_at -> Nullable<BigInt>,
        answer -> Nullable<Text>,
    }
}

diesel::table! {
    grants (id) {
        id -> Text,
        account -> Text,
        client -> Text,
        session -> Text,
        scope -> Text,
        resources -> Text,
        auth_time -> BigInt,
        created_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
        details -> Text,
    }
}

diesel::table! {
    codes (digest) {
        digest -> Text,
        grant_id -> Text,
        client -> Text,
        redirect_uri -> Nullable<Text>,
        challenge -> Nullable<Text>,
        nonce -> Nullable<Text>,
        scope -> Text,
        resources -> Text,
        expires_at -> BigInt,
        used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    refresh_tokens (digest) {
        digest -> Text,
        grant_id -> Text,
        client -> Text,
        scope -> Text,
        resources -> Text,
        issued_at -> BigInt,
        expires_at -> BigInt,
        used_at -> Nullable<BigInt>,
        successor -> Nullable<Text>,
        sealed_successor -> Nullable<Binary>,
    }
}

diesel::table! {
    revoked_tokens (jti) {
        jti -> Text,
        expires_at -> BigInt,
    }
}

diesel::table! {
    consents (account, client) {
        account -> Text,
        client -> Text,
        scope -> Text,
        given_at -> BigInt,
        claims -> Text,
    }
}

diesel::table! {
    used_once (key) {
        key -> Text,
        expires_at -> BigInt,
    }
}

diesel::table! {
    pending (digest) {
        digest -> Text,
        sealed -> Binary,
        expires_at -> BigInt,
    }
}

diesel::table! {
    pushed_requests (digest) {
        digest -> Text,
        client -> Text,
        source -> Text,
        sealed -> Binary,
        expires_at -> BigInt,
    }
}

diesel::table! {
    clients (id) {
        id -> Text,
        body -> Text,
    }
}

diesel::table! {
    resource_servers (id) {
        id -> Text,
        body -> Text,
    }
}

diesel::table! {
    signing_keys (kid) {
        kid -> Text,
        alg -> Text,
        issuer -> Text,
        state -> Text,
        sealed -> Binary,
        created_at -> BigInt,
        activates_at -> Nullable<BigInt>,
        retired_at -> Nullable<BigInt>,
        longest_token -> BigInt,
    }
}

diesel::table! {
    meta (key) {
        key -> Text,
        value -> Text,
    }
}

diesel::table! {
    counters (name) {
        name -> Text,
        value -> BigInt,
    }
}

diesel::table! {
    invitations (digest) {
        digest -> Text,
        provider -> Nullable<Text>,
        email -> Nullable<Text>,
        groups -> Text,
        created_by -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
        used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    audit_events (seq) {
        seq -> BigInt,
        at -> BigInt,
        kind -> Text,
        actor_kind -> Text,
        actor -> Text,
        account -> Nullable<Text>,
        client -> Nullable<Text>,
        provider -> Nullable<Text>,
        reason -> Nullable<Text>,
        reference -> Nullable<Text>,
        data -> Text,
    }
}

diesel::table! {
    refusals (seq) {
        seq -> BigInt,
        reference -> Text,
        at -> BigInt,
        last_at -> BigInt,
        times -> BigInt,
        source -> Text,
        alike -> Text,
        reason -> Text,
        provider -> Nullable<Text>,
        client -> Nullable<Text>,
        expected -> Nullable<Text>,
        received -> Nullable<Text>,
        steps -> Text,
        note -> Text,
    }
}

diesel::table! {
    registered_clients (id) {
        id -> Text,
        body -> Nullable<Text>,
        access -> Text,
        source -> Text,
        token -> Nullable<Text>,
        created_at -> BigInt,
        used_at -> Nullable<BigInt>,
        removed_at -> Nullable<BigInt>,
        revision -> BigInt,
    }
}

diesel::table! {
    registration_tokens (id) {
        id -> Text,
        digest -> Text,
        note -> Text,
        narrowing -> Text,
        uses_left -> Nullable<BigInt>,
        created_by -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    email_codes (sign_in) {
        sign_in -> Text,
        mac -> Text,
        tries -> BigInt,
        sent -> BigInt,
        used -> BigInt,
        ends_at -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    allowances (key) {
        key -> Text,
        spent -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::joinable!(account_emails -> accounts (account));
diesel::joinable!(grants -> accounts (account));
diesel::joinable!(session_proofs -> sessions (session));
diesel::allow_tables_to_appear_in_same_query!(sessions, session_proofs, grants);
diesel::allow_tables_to_appear_in_same_query!(accounts, account_emails, grants, codes, refresh_tokens);
