//! Ending sessions, with everything that was granted in them, and the logout tokens that follow. There is no
//! other way to end a session, so no door can forget to tell its clients.

use super::error::StoreError;
use super::read::{at_opt, parse, storable};
use super::schema::{grants, logout_deliveries, session_clients, session_proofs, sessions};
use super::sessions::{OWN_NAME, OWN_SESSION};
use super::tx::{Tx, on};
use crate::clients::SigningAlg;
use crate::context::Timestamp;
use crate::ids::{AccountId, ClientId, ProviderId, SessionId};
use crate::sessions::Session;
use crate::sessions::notice::{Delivery, DeliveryState, Party};
use crate::tokens::handle::Digest;
use diesel::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

/// What came of a delivery is kept this long after its session ended, for the report. All tries are over by
/// then.
pub const LOGOUTS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Ids that are asked for at a time; SQLite takes 32,766 values in a statement.
const CHUNK: usize = 1000;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = session_clients)]
struct PartyRow {
    session: String,
    client: String,
    backchannel_uri: Option<String>,
    alg: String,
    sub: String,
    sid: String,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = logout_deliveries)]
struct Row {
    id: String,
    session: String,
    client: String,
    account: String,
    uri: String,
    alg: String,
    sub: String,
    sid: String,
    queued_at: i64,
    state: String,
    attempts: i64,
    due_at: i64,
    last_at: Option<i64>,
    answer: Option<String>,
}

impl Row {
    fn domain(self) -> Result<Delivery, StoreError> {
        Ok(Delivery {
            session: parse(&self.session, "logout_deliveries.session")?,
            client: parse(&self.client, "logout_deliveries.client")?,
            account: parse(&self.account, "logout_deliveries.account")?,
            alg: SigningAlg::ALL
                .into_iter()
                .find(|alg| alg.as_str() == self.alg)
                .ok_or(StoreError::corrupt("logout_deliveries.alg"))?,
            state: parse(&self.state, "logout_deliveries.state")?,
            attempts: u32::try_from(self.attempts)
                .map_err(|_| StoreError::corrupt("logout_deliveries.attempts"))?,
            id: self.id,
            uri: self.uri,
            sub: self.sub,
            sid: self.sid,
            queued_at: Timestamp(self.queued_at),
            due_at: Timestamp(self.due_at),
            last_at: at_opt(self.last_at),
            answer: self.answer,
        })
    }
}

/// What is known about the deliveries to one client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogoutReport {
    /// How many are in each state.
    pub counts: BTreeMap<DeliveryState, u64>,
    /// When the last one was taken.
    pub last_delivered_at: Option<Timestamp>,
    /// Those that were not taken (yet), the newest first.
    pub troubles: Vec<Delivery>,
}

/// The name under which a provider's own session, or its name for a person, is found.
pub(super) fn upstream_key(provider: &ProviderId, session: &str) -> String {
    Digest::of(&format!("{provider}\n{session}")).as_str().to_owned()
}

impl Tx<'_> {
    /// Notes that a client got a code in a session and wants to be told when it ends; what was noted of it
    /// before is replaced.
    ///
    /// # Errors
    /// `Conflict("reference")` if there is no such session.
    pub fn join_session(&mut self, session: &SessionId, party: &Party) -> Result<(), StoreError> {
        let row = PartyRow {
            session: session.as_str().to_owned(),
            client: party.client.as_str().to_owned(),
            backchannel_uri: party.backchannel_uri.clone(),
            alg: party.alg.as_str().to_owned(),
            sub: party.sub.clone(),
            sid: party.sid.clone(),
        };
        on!(self, c => diesel::insert_into(session_clients::table)
            .values(&row)
            .on_conflict((session_clients::session, session_clients::client))
            .do_update()
            .set((
                session_clients::backchannel_uri.eq(&row.backchannel_uri),
                session_clients::alg.eq(&row.alg),
                session_clients::sub.eq(&row.sub),
                session_clients::sid.eq(&row.sid),
            ))
            .execute(c))?;
        Ok(())
    }

    /// Ends the session and everything that was granted in it, and queues a logout token for each client that
    /// wants one. The clients that joined it; `None` if it was ended before or never was.
    pub fn end_session(
        &mut self,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Vec<ClientId>>, StoreError> {
        let ended: Option<(String, String)> = on!(self, c => diesel::update(sessions::table.find(id.as_str()))
            .filter(sessions::revoked_at.is_null())
            .set(sessions::revoked_at.eq(now.0))
            .returning((sessions::id, sessions::account))
            .get_result(c)
            .optional())?;
        let Some(ended) = ended else { return Ok(None) };
        self.after_sessions(&[ended], now).map(Some)
    }

    /// Ends all sessions of the account, as [`Tx::end_session`] does, and says how many.
    pub fn end_sessions_of(&mut self, account: &AccountId, now: Timestamp) -> Result<usize, StoreError> {
        let ended: Vec<(String, String)> = on!(self, c => diesel::update(sessions::table)
            .filter(sessions::account.eq(account.as_str()))
            .filter(sessions::revoked_at.is_null())
            .set(sessions::revoked_at.eq(now.0))
            .returning((sessions::id, sessions::account))
            .get_results(c))?;
        self.after_sessions(&ended, now)?;
        Ok(ended.len())
    }

    /// Signs everybody out of one client: queues a logout token for each session that it joined, and says how
    /// many. The sessions themselves go on; what was granted to it is for the caller to revoke.
    pub fn part_client(&mut self, client: &ClientId, now: Timestamp) -> Result<usize, StoreError> {
        let parted: Vec<PartyRow> = on!(self, c => diesel::delete(session_clients::table)
            .filter(session_clients::client.eq(client.as_str()))
            .returning(PartyRow::as_returning())
            .get_results(c))?;
        self.told(parted, now)
    }

    /// Signs everybody out of everything, for whoever ends all sessions at once.
    pub(super) fn part_everybody(&mut self, now: Timestamp) -> Result<usize, StoreError> {
        let parted: Vec<PartyRow> = on!(self, c => diesel::delete(session_clients::table)
            .returning(PartyRow::as_returning())
            .get_results(c))?;
        self.told(parted, now)
    }

    /// Queues for parties whose rows were taken away, of whatever sessions.
    fn told(&mut self, parted: Vec<PartyRow>, now: Timestamp) -> Result<usize, StoreError> {
        let ids: Vec<&str> = parted.iter().map(|row| row.session.as_str()).collect();
        let mut owners: Vec<(String, String)> = Vec::new();
        for some in ids.chunks(CHUNK) {
            owners.extend(on!(self, c => sessions::table
                .filter(sessions::id.eq_any(some))
                .select((sessions::id, sessions::account))
                .load::<(String, String)>(c))?);
        }
        self.queue(&owners, parted, now)
    }

    /// Whatever follows from the end of these sessions (id and account of each).
    fn after_sessions(
        &mut self,
        ended: &[(String, String)],
        now: Timestamp,
    ) -> Result<Vec<ClientId>, StoreError> {
        let ids: Vec<&str> = ended.iter().map(|(id, _)| id.as_str()).collect();
        on!(self, c => diesel::update(grants::table)
            .filter(grants::session.eq_any(&ids))
            .filter(grants::revoked_at.is_null())
            .set(grants::revoked_at.eq(now.0))
            .execute(c))?;
        // Deleted, and so queued once even if the client is parted at the same moment.
        let parties: Vec<PartyRow> = on!(self, c => diesel::delete(session_clients::table)
            .filter(session_clients::session.eq_any(&ids))
            .returning(PartyRow::as_returning())
            .get_results(c))?;
        let clients: Result<Vec<ClientId>, StoreError> =
            parties.iter().map(|row| parse(&row.client, "session_clients.client")).collect();
        self.queue(ended, parties, now)?;
        clients
    }

    fn queue(
        &mut self,
        owners: &[(String, String)],
        parties: Vec<PartyRow>,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let owners: BTreeMap<&str, &str> =
            owners.iter().map(|(session, account)| (session.as_str(), account.as_str())).collect();
        let mut queued = 0;
        for party in parties {
            let Some(uri) = party.backchannel_uri else { continue };
            let Some(account) = owners.get(party.session.as_str()) else { continue };
            let row = Row {
                id: format!("{} {} {}", party.session, now.0, party.client),
                account: (*account).to_owned(),
                session: party.session,
                client: party.client,
                uri,
                alg: party.alg,
                sub: party.sub,
                sid: party.sid,
                queued_at: now.0,
                state: DeliveryState::Waiting.as_str().to_owned(),
                attempts: 0,
                due_at: now.0,
                last_at: None,
                answer: None,
            };
            // Row by row: for several at once diesel would begin a transaction of its own on SQLite.
            queued += on!(self, c => diesel::insert_into(logout_deliveries::table)
                .values(&row)
                .on_conflict(logout_deliveries::id)
                .do_nothing()
                .execute(c))?;
        }
        Ok(queued)
    }

    /// Live sessions with a proof behind which stands this session of a provider, ended ones left out.
    pub fn sessions_by_upstream(
        &mut self,
        provider: &ProviderId,
        session: &str,
    ) -> Result<Vec<Session>, StoreError> {
        let key = upstream_key(provider, session);
        self.sessions_known(OWN_SESSION, &key)
    }

    /// Live sessions with a proof of this provider that notes this name of the person (its key), ended ones left
    /// out.
    pub fn sessions_by_upstream_name(
        &mut self,
        provider: &ProviderId,
        name: &str,
    ) -> Result<Vec<Session>, StoreError> {
        let key = upstream_key(provider, name);
        self.sessions_known(OWN_NAME, &key)
    }

    fn sessions_known(&mut self, kind: &str, key: &str) -> Result<Vec<Session>, StoreError> {
        let ids: Vec<String> = on!(self, c => sessions::table
            .inner_join(session_proofs::table)
            .filter(session_proofs::kind.eq(kind))
            .filter(session_proofs::key.eq(key))
            .filter(sessions::revoked_at.is_null())
            .select(sessions::id)
            .order(sessions::id.asc())
            .load(c))?;
        let mut found = Vec::new();
        for id in ids {
            found.extend(self.session(&parse(&id, "sessions.id")?)?);
        }
        Ok(found)
    }

    /// The clients to which something is due, those that wait longest first; at most `limit`.
    pub fn due_logouts(&mut self, now: Timestamp, limit: u32) -> Result<Vec<ClientId>, StoreError> {
        let due: Vec<(String, Option<i64>)> = on!(self, c => logout_deliveries::table
            .filter(logout_deliveries::state.eq(DeliveryState::Waiting.as_str()))
            .filter(logout_deliveries::due_at.le(now.0))
            .group_by(logout_deliveries::client)
            .select((logout_deliveries::client, diesel::dsl::min(logout_deliveries::due_at)))
            .order(diesel::dsl::min(logout_deliveries::due_at).asc())
            .limit(i64::from(limit))
            .load(c))?;
        due.iter().map(|(client, _)| parse(client, "logout_deliveries.client")).collect()
    }

    /// Takes at most `limit` deliveries to a client that are due. They are the caller's until `lease`; each is
    /// given to one of those who try at once.
    pub fn claim_logouts(
        &mut self,
        client: &ClientId,
        now: Timestamp,
        lease: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let ids: Vec<String> = on!(self, c => logout_deliveries::table
            .filter(logout_deliveries::client.eq(client.as_str()))
            .filter(logout_deliveries::state.eq(DeliveryState::Waiting.as_str()))
            .filter(logout_deliveries::due_at.le(now.0))
            .order((logout_deliveries::due_at.asc(), logout_deliveries::id.asc()))
            .limit(i64::from(limit))
            .select(logout_deliveries::id)
            .load(c))?;
        let mut claimed = Vec::new();
        for id in ids {
            let row: Option<Row> = on!(self, c => diesel::update(logout_deliveries::table.find(&id))
                .filter(logout_deliveries::state.eq(DeliveryState::Waiting.as_str()))
                .filter(logout_deliveries::due_at.le(now.0))
                .set(logout_deliveries::due_at.eq(lease.0))
                .returning(Row::as_returning())
                .get_result(c)
                .optional())?;
            claimed.extend(row.map(Row::domain).transpose()?);
        }
        Ok(claimed)
    }

    /// Writes down what came of a claimed delivery; false if the lease has run out and another has it.
    pub fn settle_logout(&mut self, settled: &Delivery, lease: Timestamp) -> Result<bool, StoreError> {
        let answer = settled.answer.as_deref().map(storable);
        let changed = on!(self, c => diesel::update(logout_deliveries::table.find(&settled.id))
            .filter(logout_deliveries::state.eq(DeliveryState::Waiting.as_str()))
            .filter(logout_deliveries::due_at.eq(lease.0))
            .set((
                logout_deliveries::state.eq(settled.state.as_str()),
                logout_deliveries::attempts.eq(i64::from(settled.attempts)),
                logout_deliveries::due_at.eq(settled.due_at.0),
                logout_deliveries::last_at.eq(settled.last_at.map(|at| at.0)),
                logout_deliveries::answer.eq(&answer),
            ))
            .execute(c))?;
        Ok(changed == 1)
    }

    /// How many deliveries wait, to whatever client.
    pub fn waiting_logouts(&mut self) -> Result<u64, StoreError> {
        let count: i64 = on!(self, c => logout_deliveries::table
            .filter(logout_deliveries::state.eq(DeliveryState::Waiting.as_str()))
            .count()
            .get_result(c))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// What is known about the deliveries to a client, with at most `limit` troubles.
    pub fn logout_report(&mut self, client: &ClientId, limit: u32) -> Result<LogoutReport, StoreError> {
        let counts: Vec<(String, i64)> = on!(self, c => logout_deliveries::table
            .filter(logout_deliveries::client.eq(client.as_str()))
            .group_by(logout_deliveries::state)
            .select((logout_deliveries::state, diesel::dsl::count_star()))
            .load(c))?;
        let last: Option<i64> = on!(self, c => logout_deliveries::table
            .filter(logout_deliveries::client.eq(client.as_str()))
            .filter(logout_deliveries::state.eq(DeliveryState::Delivered.as_str()))
            .select(diesel::dsl::max(logout_deliveries::last_at))
            .get_result(c))?;
        let troubles: Vec<Row> = on!(self, c => logout_deliveries::table
            .filter(logout_deliveries::client.eq(client.as_str()))
            .filter(logout_deliveries::state.ne(DeliveryState::Delivered.as_str()))
            .order((logout_deliveries::queued_at.desc(), logout_deliveries::id.asc()))
            .limit(i64::from(limit))
            .select(Row::as_select())
            .load(c))?;
        let counts: Result<_, StoreError> = counts
            .iter()
            .map(|(state, count)| {
                Ok((parse(state, "logout_deliveries.state")?, u64::try_from(*count).unwrap_or(0)))
            })
            .collect();
        Ok(LogoutReport {
            counts: counts?,
            last_delivered_at: at_opt(last),
            troubles: troubles.into_iter().map(Row::domain).collect::<Result<_, _>>()?,
        })
    }
}
