//! Sagas whose participants are asked by events and answer with events: answers that come, fail, are late, repeated or never
//! come, crashes between, and the same trip run both ways.

use cogwheel_tests::{Backend, Home, Server, on_both_databases, step, until};
use serde_json::{Value, json};

on_both_databases!(
    a_completed_answer_lets_the_saga_go_on,
    a_failed_answer_undoes_what_was_done,
    an_answer_that_never_comes_undoes_what_may_have_been_done,
    answers_that_come_while_the_server_is_down_are_heard,
    an_event_answers_one_wait_and_what_comes_late_none,
    a_trip_ends_the_same_whether_it_is_orchestrated_or_choreographed,
);

/// A saga of two bookings by events; `SERVICE` answers.
const TRIP: &str = r"
inputs: {city: {type: string}}
saga: {on_undo_failure: pause}
timeout: 10m
steps:
  - id: flight
    uses: emit
    with: {type: custom.booking.requested, subject: 'flight-${{ execution.id }}', data: {city: '${{ inputs.city }}'}}
    compensate:
      steps:
        - {uses: emit, with: {type: custom.booking.cancel_requested, subject: 'flight-${{ execution.id }}'}}
        - {uses: wait, timeout: 1m, with: {event: custom.booking.cancelled, subject: 'flight-${{ execution.id }}'}}
  - {id: flown, uses: wait, timeout: PATIENCE, with: {event: custom.booking.completed, failure: custom.booking.failed, subject: 'flight-${{ execution.id }}'}}
  - id: hotel
    uses: emit
    with: {type: custom.booking.requested, subject: 'hotel-${{ execution.id }}', data: {city: '${{ inputs.city }}'}}
    compensate:
      steps:
        - {uses: emit, with: {type: custom.booking.cancel_requested, subject: 'hotel-${{ execution.id }}'}}
        - {uses: wait, timeout: 1m, with: {event: custom.booking.cancelled, subject: 'hotel-${{ execution.id }}'}}
  - {id: slept, uses: wait, timeout: PATIENCE, with: {event: custom.booking.completed, failure: custom.booking.failed, subject: 'hotel-${{ execution.id }}'}}
  - {id: home, run: 'test $CITY != Gone', env: {CITY: '${{ inputs.city }}'}}
";

/// The same trip, whose saga asks the participants itself.
const ORCHESTRATED: &str = r"
inputs: {city: {type: string}}
saga: {on_undo_failure: pause}
timeout: 10m
steps:
  - id: flight
    uses: ./book
    with: {what: 'flight-${{ execution.id }}', city: '${{ inputs.city }}'}
    compensate: {uses: ./cancel, with: {what: 'flight-${{ execution.id }}'}}
  - id: hotel
    uses: ./book
    with: {what: 'hotel-${{ execution.id }}', city: '${{ inputs.city }}'}
    compensate: {uses: ./cancel, with: {what: 'hotel-${{ execution.id }}'}}
  - {id: home, run: 'test $CITY != Gone', env: {CITY: '${{ inputs.city }}'}}
";

/// What is booked is a file; what was cancelled stays so. There are no hotels in Nowhere.
const BOOK: &str = r#"
inputs: {what: {type: string}, city: {type: string}}
concurrency: {key: '${{ inputs.what }}', limit: 1}
steps:
  - id: book
    run: |
      mkdir -p booked cancelled
      case "$WHAT-$CITY" in hotel-*-Nowhere) exit 3;; esac
      test ! -e "cancelled/$WHAT" && touch "booked/$WHAT"
    env: {WHAT: '${{ inputs.what }}', CITY: '${{ inputs.city }}'}
"#;

const CANCEL: &str = r#"
inputs: {what: {type: string}}
concurrency: {key: '${{ inputs.what }}', limit: 1}
steps:
  - {run: 'mkdir -p booked cancelled; touch "cancelled/$WHAT"; rm -f "booked/$WHAT"', env: {WHAT: '${{ inputs.what }}'}}
"#;

/// Asks the two for what events ask for, and answers with events.
const SERVICE: [(&str, &str); 2] = [
    (
        "booking",
        r#"
on: {event: {type: custom.booking.requested, inputs: {what: '${{ trigger.event.subject }}', city: '${{ trigger.event.data.city }}'}}}
inputs: {what: {type: string}, city: {type: string}}
steps:
  - {id: book, uses: ./book, with: {what: '${{ inputs.what }}', city: '${{ inputs.city }}'}, continue_on_error: true}
  - uses: emit
    with: {type: "custom.booking.${{ 'completed' if steps.book.status == 'completed' else 'failed' }}", subject: '${{ inputs.what }}'}
"#,
    ),
    (
        "cancelling",
        r"
on: {event: {type: custom.booking.cancel_requested, inputs: {what: '${{ trigger.event.subject }}'}}}
inputs: {what: {type: string}}
steps:
  - {uses: ./cancel, with: {what: '${{ inputs.what }}'}}
  - {uses: emit, with: {type: custom.booking.cancelled, subject: '${{ inputs.what }}'}}
",
    ),
];

/// Answers whatever the test says, as somebody who took the request in but has not dealt with it yet.
const DESK: &str = r"
on: {event: {type: custom.booking.requested, inputs: {what: '${{ trigger.event.subject }}'}}}
inputs: {what: {type: string}}
timeout: 10m
steps:
  - {id: told, uses: wait, with: {signal: '${{ inputs.what }}'}}
  - {uses: emit, with: {type: '${{ steps.told.outputs.payload }}', subject: '${{ inputs.what }}'}}
";

fn home(backend: Backend, patience: &str) -> Home {
    let home = Home::new(backend);
    home.write("workflows/trip.yaml", TRIP.replace("PATIENCE", patience));
    home.write("workflows/book.yaml", BOOK);
    home.write("workflows/cancel.yaml", CANCEL);
    home
}

fn with_service(home: &Home) {
    for (name, source) in SERVICE {
        home.write(&format!("workflows/{name}.yaml"), source);
    }
}

/// What a step that asks for something asks for.
fn subject(execution: &Value, key: &str) -> String {
    step(execution, key)["input"]["subject"].as_str().expect("it has asked").to_owned()
}

/// What is booked, without the ids.
fn booked(home: &Home) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(home.path("booked")) else { return Vec::new() };
    let kind = |name: String| name.split('-').next().unwrap_or_default().to_owned();
    let mut booked: Vec<String> =
        entries.flatten().map(|entry| kind(entry.file_name().to_string_lossy().into_owned())).collect();
    booked.sort();
    booked
}

fn a_completed_answer_lets_the_saga_go_on(backend: Backend) {
    let home = home(backend, "1m");
    with_service(&home);
    let server = home.serve();
    let id = server.start("trip", &json!({"city": "Lisbon"}));
    let execution = server.ended_as(&id, "COMPLETED");
    assert_eq!(booked(&home), ["flight", "hotel"]);
    let answer = &step(&execution, "flown")["output"];
    assert_eq!(answer["type"], "custom.booking.completed");
    assert_eq!(answer["subject"], subject(&execution, "flight"));
    drop(home.run(&["db", "verify", "--data"]).with_code(0));
}

fn a_failed_answer_undoes_what_was_done(backend: Backend) {
    let home = home(backend, "1m");
    with_service(&home);
    let server = home.serve();
    let id = server.start("trip", &json!({"city": "Nowhere"}));
    let execution = server.ended_as(&id, "COMPENSATED");
    let error = &execution["error"];
    assert_eq!(
        (&error["code"], &error["step"], &error["retriable"]),
        (&json!("event.custom.booking.failed"), &json!("slept"), &json!(false))
    );
    assert_eq!(booked(&home), [""; 0]);
    assert!(
        home.path(&format!("cancelled/{}", subject(&execution, "hotel"))).exists(),
        "what may have been done is undone as well"
    );
    drop(home.run(&["db", "verify", "--data"]).with_code(0));
}

fn an_answer_that_never_comes_undoes_what_may_have_been_done(backend: Backend) {
    let home = home(backend, "500ms");
    home.write("workflows/desk.yaml", DESK);
    home.write("workflows/cancelling.yaml", SERVICE[1].1);
    let server = home.serve();
    let id = server.start("trip", &json!({"city": "Lisbon"}));
    let execution = server.ended_as(&id, "COMPENSATED");
    assert_eq!((&execution["error"]["kind"], &execution["error"]["step"]), (&json!("timeout"), &json!("flown")));
    assert_eq!(step(&execution, "hotel")["status"], "SKIPPED", "{execution:#}");
    // The answer comes after all: it is recorded, and changes nothing.
    let flight = subject(&execution, "flight");
    answer(&server, &flight, "custom.booking.completed");
    server.ended_executions("desk", 1);
    assert_eq!(server.execution(&id)["status"], "COMPENSATED");
    // So does the request: what was cancelled is not booked any more.
    let late = server.start("book", &json!({"what": flight, "city": "Lisbon"}));
    server.ended_as(&late, "FAILED");
    assert_eq!(booked(&home), [""; 0]);
}

/// Lets a desk answer.
fn answer(server: &Server, what: &str, event_type: &str) {
    let desks = until("the desk to wait", || {
        let all = server.all_executions("desk");
        let of = |desk: &&Value| desk["trigger"]["event"]["subject"] == what;
        all.iter().find(of).and_then(|desk| desk["id"].as_str().map(str::to_owned))
    });
    let query = "mutation($id: ID!, $name: String!, $payload: JSON) {
        signalExecution(input: {id: $id, name: $name, payload: $payload}) { userErrors { message } } }";
    let sent = server.ask(query, &json!({"id": desks, "name": what, "payload": event_type}));
    assert_eq!(sent["signalExecution"]["userErrors"], json!([]));
}

fn waits(server: &Server, id: &str, key: &str) {
    until(format!("{key} to wait"), || (step(&server.execution(id), key)["status"] == "WAITING").then_some(()));
}

fn answers_that_come_while_the_server_is_down_are_heard(backend: Backend) {
    let home = home(backend, "1m");
    home.write("workflows/desk.yaml", DESK);
    let server = home.serve();
    let id = server.start("trip", &json!({"city": "Lisbon"}));
    waits(&server, &id, "flown");
    answer(&server, &subject(&server.execution(&id), "flight"), "custom.booking.completed");
    // At whichever moment it dies: the answer is not asked for yet, recorded, or taken.
    server.crash();
    let server = home.serve();
    waits(&server, &id, "slept");
    server.crash();
    let server = home.serve();
    answer(&server, &subject(&server.execution(&id), "hotel"), "custom.booking.completed");
    server.ended_as(&id, "COMPLETED");
    let requested = "select count(*) from event_store where event_type = 'custom.booking.requested'";
    assert_eq!(home.sql().number(requested), 2, "nothing was asked for twice");
    drop(home.run(&["db", "verify", "--data"]).with_code(0));
}

fn an_event_answers_one_wait_and_what_comes_late_none(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/twice.yaml",
        r"
timeout: 10m
steps:
  - {id: first, needs: [], uses: wait, with: {event: custom.told}}
  - {id: second, needs: [], uses: wait, with: {event: custom.told}}
  - {id: one, needs: [], uses: emit, with: {type: custom.told, data: 1}}
  - {id: hold, needs: [], uses: wait, with: {signal: go}}
  - {id: two, needs: [hold], uses: emit, with: {type: custom.told, data: 2}}
",
    );
    let server = home.serve();
    let id = server.start("twice", &json!({}));
    let took = |server: &Server| {
        let execution = server.execution(&id);
        let waits = [step(&execution, "first"), step(&execution, "second")];
        let ended = waits.iter().filter(|wait| wait["status"] == "COMPLETED");
        ended.map(|wait| wait["output"]["data"].as_i64().expect("a number")).collect::<Vec<_>>()
    };
    until("one to hear of it", || (took(&server) == [1]).then_some(()));
    let query = "mutation($id: ID!) { signalExecution(input: {id: $id, name: \"go\"}) { userErrors { message } } }";
    server.ask(query, &json!({"id": id}));
    server.ended_as(&id, "COMPLETED");
    let mut took = took(&server);
    took.sort_unstable();
    assert_eq!(took, [1, 2], "an event for each");
}

fn a_trip_ends_the_same_whether_it_is_orchestrated_or_choreographed(backend: Backend) {
    let home = home(backend, "1m");
    home.write("workflows/trip-orchestrated.yaml", ORCHESTRATED);
    with_service(&home);
    let server = home.serve();
    let outcomes = ["trip", "trip-orchestrated"].map(|workflow| {
        ["Lisbon", "Nowhere", "Gone"].map(|city| {
            let before = booked(&home);
            let id = server.start(workflow, &json!({ "city": city }));
            let status = server.ended_execution(&id)["status"].as_str().unwrap_or_default().to_owned();
            let mut after = booked(&home);
            for known in before {
                after.remove(after.iter().position(|booking| *booking == known).expect("it stays"));
            }
            (status, after)
        })
    });
    assert_eq!(outcomes[0], outcomes[1]);
    let expected = [("COMPLETED", vec!["flight", "hotel"]), ("COMPENSATED", vec![]), ("COMPENSATED", vec![])];
    for ((status, after), (wanted, bookings)) in outcomes[0].iter().zip(expected) {
        assert_eq!((status.as_str(), after.iter().map(String::as_str).collect::<Vec<_>>()), (wanted, bookings));
    }
}
