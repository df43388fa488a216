//! What there is, by name.

/// A name and what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The name, as in the environment.
    pub name: &'static str,
    /// What it stands for, in a sentence.
    pub says: &'static str,
}

/// The places where a process may end.
pub const POINTS: &[Named] = &[
    Named { name: "store.folder-locked", says: "the data folder is locked, nothing is read or made" },
    Named {
        name: "store.key-written-beside",
        says: "a file of master keys is written beside the one that it is to replace",
    },
    Named {
        name: "store.key-replaced",
        says: "a file of master keys took the place of the one before, and the folder is not synced",
    },
    Named { name: "store.database-created", says: "the file of a new store is made and empty" },
    Named { name: "store.before-migrations", says: "the tables are about to be brought up to date" },
    Named {
        name: "store.between-migrations",
        says: "a step of bringing the tables up to date is done, and not committed",
    },
    Named {
        name: "store.after-migrations",
        says: "the tables are up to date, and the store has no facts of its own yet",
    },
    Named { name: "store.before-own-facts", says: "the store's own facts are written and not yet committed" },
    Named { name: "store.opened", says: "the store is open, and nothing was asked of it" },
    Named {
        name: "store.before-batch",
        says: "commands were taken from the queue, and nothing of them is written",
    },
    Named { name: "store.between-events", says: "some events of one batch are written and others not" },
    Named { name: "store.between-verbs", says: "some commands of one commit are written and others not" },
    Named {
        name: "store.before-release",
        says: "a command that may refuse has written, and is not part of the commit yet",
    },
    Named {
        name: "store.in-record",
        says: "attempts are written, and not how their webhooks do nor the checkpoint",
    },
    Named { name: "store.before-commit", says: "a batch is written and not yet committed" },
    Named { name: "store.after-commit", says: "a batch is durable, and nothing in the process knows" },
    Named { name: "store.before-replies", says: "a batch is durable, and nobody was answered" },
    Named { name: "store.after-replies", says: "everybody was answered, and the log was not looked at" },
    Named { name: "store.before-write-back", says: "the log is about to be written back" },
    Named { name: "store.after-write-back", says: "the log was written back" },
    Named { name: "store.tidy-step", says: "a step of housekeeping is written and not yet committed" },
    Named { name: "store.backup-begun", says: "the file of a backup is made and empty" },
    Named { name: "store.backup-copied", says: "a backup is copied, and nobody was told" },
    Named { name: "store.rotation-asked", says: "a new master key is made, and nowhere written down" },
    Named {
        name: "store.rotation-noted",
        says: "both master keys are in the file, and the store's note of them is not yet committed",
    },
    Named {
        name: "store.resealed",
        says: "some secrets are sealed under the new key, and not yet committed",
    },
    Named {
        name: "store.before-settling",
        says: "the store took leave of the former key, and did not commit that",
    },
    Named {
        name: "store.after-settling",
        says: "the store took leave of the former key, and it is in the log still",
    },
    Named {
        name: "store.log-cleared",
        says: "the former key's seals are gone from the log, and it is in the file still",
    },
    Named {
        name: "store.former-key-out",
        says: "the former key is out of the file, and the process knows both",
    },
    Named {
        name: "store.before-last-write-back",
        says: "the writer closes, and the log is not written back",
    },
    Named { name: "store.log-numbered", says: "the last log is numbered, and that is not written back" },
    Named { name: "store.closed", says: "the writer has closed the store" },
    Named { name: "engine.before-effects", says: "the dispatcher decided, and nothing of it is carried out" },
    Named { name: "engine.events-loaded", says: "accepted events were read, and not taken in" },
    Named { name: "engine.rows-loaded", says: "pending rows were read, and not taken in" },
    Named { name: "engine.before-attempt", says: "a delivery is claimed, and nothing was sent" },
    Named { name: "engine.attempt-ended", says: "an attempt ended, and the dispatcher does not know" },
    Named { name: "engine.before-record", says: "a batch of outcomes is about to be handed to the store" },
    Named {
        name: "engine.recorded",
        says: "a batch of outcomes is durable, and the dispatcher does not know",
    },
    Named { name: "engine.draining", says: "no attempts are started any more, and those under way go on" },
    Named { name: "engine.drained", says: "nothing is under way and everything is recorded" },
    Named { name: "net.connected", says: "a connection to a receiver is made, and nothing was sent" },
    Named { name: "net.request-written", says: "a request is written, and nothing came back" },
    Named { name: "net.answered", says: "a receiver's answer is read, and nobody knows" },
    Named { name: "api.event-read", says: "an event is read and found sound, and not handed to the store" },
    Named { name: "api.event-stored", says: "an event is stored, and its publisher not answered" },
    Named { name: "api.batch-stored", says: "a batch of events is stored, and its publisher not answered" },
    Named { name: "api.before-first-byte", says: "an answer is ready, and no byte of it is written" },
    Named { name: "posthaste.listening", says: "the ports are taken, and nothing else was done" },
    Named { name: "posthaste.store-open", says: "the store is open, and nothing else is there" },
    Named { name: "posthaste.token-made", says: "the admin token is in its file" },
    Named { name: "posthaste.delivering", says: "deliveries run, and requests are not yet served" },
    Named { name: "posthaste.announced", says: "the file is written that tells where the server is" },
    Named { name: "posthaste.told-to-end", says: "a signal to end came, and nothing was done about it" },
    Named {
        name: "posthaste.withdrawn",
        says: "the file is gone that tells where the server is, and nothing was ended",
    },
    Named { name: "posthaste.drained", says: "requests and attempts have ended, and the store is open" },
    Named { name: "posthaste.store-closed", says: "the store is closed, and the process about to end" },
];

/// The bugs that may be switched on.
pub const BUGS: &[Named] = &[
    Named { name: "retry-early", says: "retries start a millisecond before their time" },
    Named { name: "retry-after-ignored", says: "receivers that ask for a longer wait are not heard" },
    Named { name: "retry-count-in-memory", says: "how often a delivery was tried is not read back" },
    Named { name: "retry-due-forgotten", says: "a start forgets when retries are due" },
    Named { name: "backoff-overflows", says: "from the 32nd attempt on there is no delay" },
    Named { name: "attempt-too-many", says: "one attempt more is made than the contract promises" },
    Named { name: "attempt-hidden", says: "some attempts without an answer are repeated and not recorded" },
    Named { name: "attempt-not-recorded", says: "second attempts are not written down" },
    Named { name: "checkpoint-ahead", says: "the checkpoint goes on before deliveries have rows" },
    Named {
        name: "next-scheduled-before-recorded",
        says: "the next attempt is scheduled before the last one is recorded",
    },
    Named { name: "pending-not-reread", says: "a start does not ask which rows are due" },
    Named { name: "paused-webhook-attempted", says: "what waits for a paused webhook is sent" },
    Named { name: "held-lost-at-resume", says: "resuming a webhook loses what it held" },
    Named { name: "retention-takes-pending", says: "what is old is deleted although it is pending" },
    Named { name: "canceled-expire-at-once", says: "what is canceled is as old as its event" },
    Named { name: "disable-counts-attempts", says: "attempts count where the contract counts deliveries" },
    Named { name: "disable-counts-deliveries", says: "deliveries count where the contract counts attempts" },
    Named { name: "success-keeps-failures", says: "a success does not end the count of failures" },
    Named { name: "webhook-limit-unchecked", says: "an account may have any number of webhooks" },
    Named { name: "webhook-url-unchecked", says: "two webhooks of an account may have one URL" },
    Named { name: "body-checksum-ignored", says: "an event that does not match its checksum is sent" },
    Named { name: "webhook-check-ignored", says: "a webhook that does not match its checksum is sent to" },
    Named {
        name: "restored-store-sends-at-once",
        says: "a store that was put back from an old copy sends what was due then",
    },
    Named { name: "backup-not-atomic", says: "a backup has its name before it is whole" },
    Named { name: "synchronous-normal", says: "commits are not synced to the disk" },
    Named { name: "no-directory-sync", says: "new files are not synced into their folder" },
    Named { name: "ack-before-commit", says: "publishers are answered before the commit" },
    Named { name: "retry-failed-sync", says: "the store goes on after a failed write or sync" },
    Named {
        name: "write-back-failure-ignored",
        says: "a failure of the thread that writes the log back is not heard of",
    },
    Named { name: "full-disk-unnoticed", says: "events are taken in however little room the disk has" },
    Named { name: "record-dropped-when-full", says: "results that find no room on the disk are dropped" },
    Named {
        name: "inflight-forgotten-at-sigterm",
        says: "at the end of the process attempts under way are not waited for",
    },
    Named { name: "panic-kills-worker-silently", says: "an attempt that panics is never heard of again" },
    Named { name: "dispatcher-stalls", says: "after a while the dispatcher does nothing any more" },
    Named { name: "dispatcher-starts-nothing", says: "the dispatcher goes on, but starts no attempt" },
    Named { name: "runtime-thread-dies", says: "a thread that serves requests and makes attempts ends" },
    Named {
        name: "runtime-thread-hangs",
        says: "a thread that serves requests and makes attempts stands still",
    },
    Named {
        name: "idempotency-forgotten-on-restart",
        says: "a start forgets the keys that publishers named their events by",
    },
    Named { name: "recovery-ignores-rows", says: "a start does not look at which deliveries were recorded" },
    Named {
        name: "deleted-webhook-attempted",
        says: "what waits for a webhook when it is deleted is sent all the same",
    },
    Named {
        name: "owed-forgotten-when-off",
        says: "what has no row yet when its webhook is switched off comes to nothing",
    },
    Named { name: "rate-ignored", says: "attempts start faster than the contract allows" },
    Named { name: "no-slow-start", says: "a webhook is sent as much at one time from the first attempt on" },
    Named { name: "fresh-wait-behind-backlog", says: "fresh deliveries stand behind those of the store" },
    Named { name: "backlog-all-in-memory", says: "nothing bounds what waits in memory" },
    Named { name: "delays-by-wall-clock", says: "what waits, waits by the wall clock" },
    Named { name: "retention-by-wall-clock", says: "the wall clock says how old events are" },
    Named { name: "retries-early", says: "retries come a little before their delay is over" },
    Named { name: "signature-time-steady", says: "attempts are signed with steady time" },
    Named {
        name: "order-released-early",
        says: "a delivery with an ordering key does not wait for earlier ones",
    },
    Named {
        name: "order-not-released",
        says: "nobody gets the turn of a delivery with an ordering key that ended",
    },
    Named { name: "upgrade-in-pieces", says: "each step of an upgrade is durable by itself" },
    Named { name: "upgrade-drops-rows", says: "an upgrade leaves rows behind" },
];
