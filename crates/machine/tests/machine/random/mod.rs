//! Random definitions under random events: whatever happens, an execution ends with every promise kept.

mod definitions;
mod effects;
mod world;

use proptest::prelude::*;

use definitions::{Definition, definition};
use world::{Event, World, event};

fn play(definition: &Definition, events: &[Event]) -> Result<(), TestCaseError> {
    let mut world = World::new(definition);
    for event in events {
        world.happen(event)?;
    }
    world.run_out()?;
    // What did not do what it was for is done over, and that ends too.
    if let Some(mut again) = world.rerun()? {
        for event in events.iter().rev().take(12) {
            again.happen(event)?;
        }
        again.run_out()?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_execution_ends_with_every_promise_kept(
        definition in definition(),
        events in proptest::collection::vec(event(), 0..60),
    ) {
        play(&definition, &events)?;
    }
}
