//! The workflows that are run in the simulated world. None of them reaches its time limit unless it is forgotten.

/// Names with their texts. `work` takes some time and may fail or hang, `sound` takes some time.
pub(super) const WORKFLOWS: [(&str, &str); 15] = [
    (
        "plain",
        "timeout: 1h\n\
         steps:\n\
         - {id: first, run: sound}\n\
         - {id: value, uses: set, with: {n: 1}}\n\
         - {id: last, run: sound}",
    ),
    (
        "retrying",
        "timeout: 1h\n\
         defaults: {timeout: 20s}\n\
         steps:\n\
         - {id: flaky, run: work, retry: {attempts: 4, delay: 2s}}\n\
         - {id: patient, run: work, retry: {attempts: 3, delay: 15s}, continue_on_error: true}\n\
         - {id: always, if: always(), run: sound}",
    ),
    (
        "each",
        "timeout: 1h\n\
         defaults: {timeout: 20s}\n\
         steps:\n\
         - id: each\n  \
           foreach: [a, b, c, d, e]\n  \
           max_parallel: 2\n  \
           continue_on_error: true\n  \
           steps: [{id: one, run: work, retry: 2}, {id: two, run: sound, env: {ITEM: \"${{ item }}\"}}]\n\
         - {id: last, uses: log, with: {message: done}}",
    ),
    (
        "polling",
        "timeout: 1h\n\
         defaults: {timeout: 20s}\n\
         steps:\n\
         - {id: poll, run: sound, until: steps.poll.outputs.n > 3, every: 3s, max_attempts: 20, continue_on_error: true}\n\
         - {id: seldom, run: sound, until: steps.seldom.outputs.n > 6, every: 25s, max_attempts: 3, continue_on_error: true}",
    ),
    (
        "waiting",
        "timeout: 1h\n\
         steps:\n\
         - {id: short, needs: [], uses: wait, with: {for: 3s}}\n\
         - {id: long, needs: [], uses: wait, with: {for: 40s}}\n\
         - {id: beside, needs: [], run: sound}\n\
         - {id: last, needs: [short, long, beside], run: sound}",
    ),
    (
        "signalled",
        "timeout: 1h\n\
         inputs: {order: {type: string}}\n\
         steps:\n\
         - {id: before, run: sound}\n\
         - {id: paid, uses: wait, timeout: 30m, with: {signal: paid, correlation: \"${{ inputs.order }}\"}}\n\
         - {id: after, run: sound}",
    ),
    (
        "parent",
        "timeout: 1h\n\
         steps:\n\
         - {id: waits, needs: [], uses: workflow, with: {name: child}, retry: {attempts: 2, delay: 5s}, continue_on_error: true}\n\
         - {id: many, needs: [], foreach: [1, 2], uses: workflow, with: {name: plain}}\n\
         - {id: impatient, needs: [], uses: workflow, timeout: 8s, with: {name: waiting}, continue_on_error: true}\n\
         - {id: starts, needs: [], uses: workflow, with: {name: plain, wait: false}}\n\
         - {id: last, needs: [waits, many, impatient, starts], run: sound}",
    ),
    (
        "child",
        "timeout: 1h\n\
         outputs: {n: \"${{ steps.inner.outputs.a.n }}\"}\n\
         steps:\n\
         - {id: inner, timeout: 30s, steps: [{id: a, run: work}, {id: b, run: sound}]}",
    ),
    (
        "careful",
        "timeout: 25s\n\
         defaults: {timeout: 20s}\n\
         steps: [{id: a, run: work}, {id: b, run: work}, {id: c, uses: wait, with: {for: 12s}}]\n\
         on_failure: [{id: h, run: sound}, {id: told, uses: emit, with: {type: custom.failed, data: 1}}]\n\
         finally: [{id: f, run: sound}]",
    ),
    (
        "exclusive",
        "timeout: 1h\n\
         concurrency: {limit: 1}\n\
         steps: [{id: a, run: sound}, {id: pause, uses: wait, with: {for: 12s}}, {id: b, run: sound}]",
    ),
    (
        "replacing",
        "timeout: 1h\n\
         concurrency: {limit: 2, overflow: replace}\n\
         queue_timeout: 10m\n\
         steps: [{id: a, run: sound}, {id: pause, uses: wait, with: {for: 20s}}]\n\
         finally: [{id: f, run: sound}]",
    ),
    (
        "emitting",
        "timeout: 1h\n\
         concurrency: {limit: 2, overflow: skip}\n\
         steps:\n\
         - {id: a, run: sound}\n\
         - {id: tell, foreach: [1, 2, 3], uses: emit, with: {type: custom.told, data: \"${{ item }}\"}}\n\
         - {id: b, switch: \"${{ steps.a.outputs.n }}\", cases: [{when: [1, 2, 3], steps: [{id: few, run: sound}]}], \
            default: [{id: many, run: work, continue_on_error: true}]}",
    ),
    (
        "saga",
        "timeout: 1h\n\
         defaults: {timeout: 20s}\n\
         steps:\n\
         - {id: do-a, needs: [], run: work, retry: {attempts: 2, delay: 1s}, compensate: {run: work}}\n\
         - {id: do-b, needs: [do-a], run: work, compensate: {run: sound}}\n\
         - {id: do-c, needs: [do-a], run: sound, compensate: {run: work, retry: {attempts: 2, delay: 2s}}}\n\
         - {id: do-d, needs: [do-b], run: sound, compensate: {run: sound}}\n\
         - {id: do-e, needs: [do-b, do-c], run: sound, compensate: {run: work}}\n\
         - {id: do-f, needs: [do-c], run: work, compensate: {run: sound}}\n\
         - {id: do-g, needs: [do-d, do-e], run: sound, compensate: {steps: [{id: one, run: work}, {id: two, run: sound}]}}\n\
         - {id: do-h, needs: [do-g, do-f], run: work, compensate: {run: sound}}\n\
         finally: [{id: last, run: sound}]",
    ),
    (
        "saga-parent",
        "timeout: 1h\n\
         saga: {on_undo_failure: pause}\n\
         steps:\n\
         - {id: first, needs: [], uses: workflow, with: {name: saga}}\n\
         - {id: do-second, needs: [], run: sound, compensate: {run: sound}}\n\
         - {id: impatient, needs: [do-second], uses: workflow, timeout: 10s, with: {name: saga}}\n\
         - {id: last, needs: [first, impatient], run: work}",
    ),
    (
        "saga-fails",
        "timeout: 1h\n\
         defaults: {timeout: 20s}\n\
         saga: {on_undo_failure: fail, deadline: 30s}\n\
         steps:\n\
         - {id: do-a, run: sound, compensate: {run: work}}\n\
         - {id: do-each, foreach: [1, 2, 3], max_parallel: 2, run: work, compensate: {run: work, retry: 2}}\n\
         - {id: do-z, run: work, retry: 6, compensate: {run: sound}}",
    ),
];
