//! What [`Store`] means, as stories that every body of it passes. A failed story panics.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a story is a test: it fails by panicking")]

mod scene;

mod accounts;
mod deliveries;
mod events;
mod history;
mod housekeeping;
mod ordering;
mod races;
mod reads;
mod secrets;
mod tokens;
mod watched;
mod webhooks;

mod audit;

use std::pin::Pin;
use std::sync::Arc;

use crate::store::Store;

/// A story being told.
pub type Telling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A story told to an empty store.
pub struct Story {
    /// What it shows.
    pub name: &'static str,
    /// Tells it.
    pub tell: fn(Arc<dyn Store>) -> Telling,
}

macro_rules! stories {
    ($($story:path),* $(,)?) => {
        /// All stories.
        pub const STORIES: &[Story] =
            &[$(Story { name: stringify!($story), tell: |store| Box::pin($story(store)) }),*];
    };
}

stories![
    accounts::an_account_is_created_once_changed_and_deleted,
    accounts::accounts_page_in_order_of_creation,
    accounts::a_key_is_found_by_its_text_until_it_is_forgotten,
    tokens::a_token_is_found_by_its_text_until_it_is_revoked,
    tokens::a_name_belongs_to_one_token_that_works,
    tokens::there_are_not_more_tokens_than_the_bound,
    tokens::uses_of_a_token_are_written_down_by_housekeeping,
    tokens::tokens_that_ended_long_ago_are_forgotten,
    audit::every_change_is_told_once,
    audit::a_refused_change_is_not_told,
    audit::what_the_engine_does_is_told_of_the_system,
    audit::the_log_pages_newest_first_and_is_filtered,
    audit::the_log_outlives_the_account_and_ends_in_steps,
    webhooks::only_the_owner_sees_a_webhook,
    webhooks::limits_count_what_is_not_deleted,
    webhooks::urls_differ_where_the_contract_says_so,
    webhooks::a_patch_changes_what_it_names,
    webhooks::former_secrets_sign_as_long_as_they_are_kept,
    webhooks::the_roster_shows_every_change,
    webhooks::a_webhook_that_is_off_knows_the_event_before_that,
    webhooks::a_webhook_knows_the_event_before_it,
    events::events_keep_their_order_and_bytes,
    events::a_repeated_key_answers_the_first_event,
    events::keys_are_independent_and_forgotten_in_time,
    events::hints_tell_of_events_without_a_gap,
    events::a_token_is_new_once,
    watched::each_value_is_kept_with_the_one_before,
    watched::accounts_types_and_broadcasts_have_values_of_their_own,
    watched::a_repeat_or_a_refused_draft_changes_no_value,
    deliveries::a_first_attempt_is_remembered_whole,
    deliveries::an_attempt_recorded_twice_changes_nothing,
    deliveries::attempts_out_of_order_do_not_turn_a_delivery_back,
    deliveries::pending_rows_come_by_due_time_then_age,
    deliveries::spills_and_cancels_respect_what_is_written,
    deliveries::failing_webhooks_are_disabled_once,
    deliveries::the_checkpoint_never_goes_back,
    deliveries::ended_deliveries_are_sent_again_on_demand,
    deliveries::recovery_takes_failed_ones_of_a_window,
    deliveries::resuming_makes_overdue_retries_due_by_age,
    reads::a_read_of_events_ends_where_its_bytes_do,
    reads::a_read_of_pending_rows_ends_where_its_bytes_do_and_passes_over_what_is_known,
    ordering::an_event_keeps_its_ordering_key,
    ordering::of_a_chain_one_is_due_at_a_time,
    ordering::a_long_chain_goes_in_order_of_acceptance,
    ordering::resuming_and_a_clock_set_back_let_nothing_pass,
    ordering::what_a_disabling_ended_comes_back_in_order,
    ordering::what_is_sent_again_waits_for_the_one_that_is_tried,
    ordering::an_attempt_that_ends_late_lets_nothing_pass,
    ordering::a_deleted_webhooks_chains_go_to_their_ends,
    history::attempts_and_deliveries_page_newest_first,
    history::a_long_history_pages_without_gap_or_repeat,
    history::a_delivery_that_waits_is_listed_and_not_yet_history,
    history::a_list_has_every_delivery_once,
    housekeeping::pending_deliveries_of_deleted_and_disabled_webhooks_end,
    housekeeping::many_webhooks_that_are_off_do_not_hide_one_with_rows,
    housekeeping::deleted_webhooks_leave_the_roster_when_nothing_is_owed,
    housekeeping::what_expired_is_deleted_and_what_is_owed_stays,
    housekeeping::a_clock_set_back_strands_nothing,
    housekeeping::places_are_not_given_twice,
    housekeeping::a_deleted_account_leaves_nothing,
    housekeeping::what_an_account_leaves_behind_ends_with_it,
    housekeeping::what_is_canceled_is_kept_as_long_as_what_fails,
    housekeeping::what_was_canceled_during_an_attempt_does_not_come_back,
    housekeeping::an_attempt_that_ends_after_its_delivery_expired_leaves_nothing,
    housekeeping::forgotten_keys_and_tokens_can_come_again,
    secrets::a_rotation_changes_the_key_and_no_secret,
    races::of_many_creators_as_many_succeed_as_the_limit_allows,
    races::of_many_equal_urls_one_is_created,
    races::of_many_equal_keys_one_event_is_made,
    races::parallel_publishers_get_different_places_in_order_of_hints,
    races::an_event_is_owed_to_what_was_not_deleted_before_it,
    races::changes_and_publishes_side_by_side_are_all_kept,
    races::of_many_equal_tokens_one_is_new,
    races::nothing_is_created_for_an_account_that_is_gone,
];
