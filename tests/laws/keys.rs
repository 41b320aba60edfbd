//! Signing keys when many nodes start, or rotate, at the same time.

use crate::fixtures::read;
use crate::laws;
use crate::place::Place;
use countersign::audit::Actor;
use countersign::clients::SigningAlg;
use countersign::context::{Context, ManualClock, SystemEntropy, Timestamp};
use countersign::flow::keys::Keys;
use countersign::store::Store;
use countersign::tokens::KeyState;
use countersign::tokens::rotation::{KeyPolicy, Urgency};
use countersign::tokens::seal::Sealer;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

laws!(nodes_that_start_together_make_one_set_of_keys, nodes_that_rotate_together_rotate_once);

/// Each makes RSA keys in vain, so they are not as many as other racers.
const NODES: usize = 6;
const DAY: Duration = Duration::from_secs(86_400);

/// What one of many nodes does.
#[derive(Debug, Clone, Copy)]
enum Act {
    Start,
    Rotate,
}

/// Every node acts at once; the entity tags of the keys that they see afterwards.
async fn all_at_once(store: &Store, context: &Context, act: Act) -> BTreeSet<String> {
    let start = Arc::new(tokio::sync::Barrier::new(NODES));
    let nodes: Vec<_> = (0..NODES)
        .map(|_| {
            let (store, context, start) = (store.clone(), context.clone(), start.clone());
            tokio::spawn(async move {
                let sealer = Sealer::new(&[7; 32]).unwrap();
                let policy = KeyPolicy { rotate_every: 30 * DAY, publish_ahead: DAY, longest_token: DAY };
                let keys = Keys::of(&context, &store, &sealer, "https://id.test", policy);
                start.wait().await;
                match act {
                    Act::Start => {
                        keys.maintain().await.unwrap();
                    }
                    Act::Rotate => {
                        let algs = [SigningAlg::ES256];
                        keys.rotate(&algs, Urgency::Announced, &Actor::System).await.unwrap();
                    }
                }
                keys.keyring().await.unwrap().etag().to_owned()
            })
        })
        .collect();
    let mut tags = BTreeSet::new();
    for node in nodes {
        tags.insert(node.await.unwrap());
    }
    tags
}

fn house(place: &Place) -> (Store, Arc<ManualClock>, Context) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let context = Context::new(clock.clone(), Arc::new(SystemEntropy));
    (place.store(), clock, context)
}

async fn states(store: &Store) -> Vec<(SigningAlg, KeyState)> {
    let keys = read(store, |tx| tx.keys()).await.unwrap();
    let mut states: Vec<_> = keys.into_iter().map(|key| (key.alg, key.state)).collect();
    states.sort();
    states
}

async fn nodes_that_start_together_make_one_set_of_keys(place: Place) {
    let (store, _, context) = house(&place);
    assert_eq!(all_at_once(&store, &context, Act::Start).await.len(), 1);
    let active: Vec<_> = SigningAlg::ALL.into_iter().map(|alg| (alg, KeyState::Active)).collect();
    assert_eq!(states(&store).await, active);
}

async fn nodes_that_rotate_together_rotate_once(place: Place) {
    let (store, clock, context) = house(&place);
    all_at_once(&store, &context, Act::Start).await;
    assert_eq!(all_at_once(&store, &context, Act::Rotate).await.len(), 1);
    use KeyState::{Active, Next, Retired};
    use SigningAlg::{ES256, EdDSA, RS256};
    assert_eq!(states(&store).await, [(RS256, Active), (ES256, Active), (ES256, Next), (EdDSA, Active)]);
    clock.advance(DAY);
    assert_eq!(all_at_once(&store, &context, Act::Start).await.len(), 1);
    assert_eq!(states(&store).await, [(RS256, Active), (ES256, Active), (ES256, Retired), (EdDSA, Active)]);
}
