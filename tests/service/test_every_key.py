"""Every key of the settings acts: here stands for each which test shows it at work."""

import ast
from pathlib import Path

import pytest

from fovea.config import fields
from fovea.declaration import branches
from fovea.service.settings import ServeConfig

HERE = Path(__file__).parent

SHOWN: dict[str, str] = {
    # serve
    "mode": "test_devices::test_auto_takes_a_gpu_that_torch_can_use_and_else_the_processor",
    "runs": "test_service::test_a_job_runs_and_gives_its_result_and_its_artifacts",
    "server.host": "test_service::test_an_address_that_others_can_reach_is_refused",
    "server.port": "test_service::test_a_port_that_is_taken_is_said",
    "browser.auto_open": "test_serving::test_the_page_is_opened_where_there_is_a_screen",
    "plugins": "test_plugins::test_plugins_run_in_their_order_and_one_that_breaks_is_left_out",
    # gpu
    "gpu.device": "test_devices::test_cpu_is_never_a_gpu_and_a_device_goes_before_the_mode",
    "gpu.enable_amp": "test_photo_recipe::test_numbers_of_the_layers_follow_the_settings",
    "gpu.enable_cudnn_benchmark": "test_devices::test_jobs_find_the_switches_in_their_environment",
    "gpu.enable_tf32": "test_devices::test_jobs_find_the_switches_in_their_environment",
    # logging
    "logging.level": "test_logs::test_levels_console_and_file_are_obeyed",
    "logging.console": "test_logs::test_levels_console_and_file_are_obeyed",
    "logging.file": "test_logs::test_levels_console_and_file_are_obeyed",
    "logging.folder": "test_logs::test_a_file_has_more_than_the_console",
    "logging.json_lines": "test_logs::test_lines_of_json_can_be_read_again",
    "logging.rotation_mb": "test_logs::test_a_full_file_is_zipped_and_a_new_one_begun",
    "logging.retention_days": "test_logs::test_files_that_are_too_old_go",
    # model
    "model.checkpoint": "test_serving::"
    "test_a_network_that_is_not_there_is_said_and_the_service_goes_on",
    "model.preload": "test_serving::"
    "test_a_network_that_is_not_there_is_said_and_the_service_goes_on",
    "model.accept_licence": "test_photo_recipe::"
    "test_the_checkpoint_is_the_services_and_not_the_callers",
    "model.temp_dir": "test_serving::"
    "test_what_is_sent_is_kept_in_its_folder_and_its_size_follows_the_picture",
    # inference
    "inference.input_size": "test_photo_recipe::test_a_size_joins_cells_until_the_grid_fits",
    "inference.dynamic_input_size": "test_serving::"
    "test_what_is_sent_is_kept_in_its_folder_and_its_size_follows_the_picture",
    "inference.min_input_size": "test_sizes::test_sizes_follow_what_there_is_to_see_within_bounds",
    "inference.max_input_size": "test_serving::"
    "test_what_is_sent_is_kept_in_its_folder_and_its_size_follows_the_picture",
    # optimization
    "optimization.gradient_checkpointing": "test_photo_recipe::"
    "test_saving_memory_makes_the_pieces_smaller",
    "optimization.checkpoint_segments": "test_photo_recipe::"
    "test_saving_memory_makes_the_pieces_smaller",
    "optimization.enable_batch_processing": "test_serving::"
    "test_photographs_share_a_job_and_after_so_many_requests_the_service_ends",
    "optimization.max_batch_size": "test_serving::"
    "test_photographs_share_a_job_and_after_so_many_requests_the_service_ends",
    "optimization.enable_quantization": "test_photo_recipe::"
    "test_numbers_of_the_layers_follow_the_settings",
    "optimization.quantization_mode": "test_photo_recipe::"
    "test_numbers_of_the_layers_follow_the_settings",
    "optimization.enable_tensorrt": "test_serving::"
    "test_tensorrt_is_told_to_jobs_or_it_is_said_why_not",
    "optimization.tensorrt_fp16": "test_serving::"
    "test_tensorrt_is_told_to_jobs_or_it_is_said_why_not",
    # monitoring, performance
    "monitoring.enabled": "test_serving::"
    "test_photographs_share_a_job_and_after_so_many_requests_the_service_ends",
    "monitoring.enable_gpu": "test_serving::"
    "test_a_card_that_torch_cannot_use_is_named_and_its_figures_are_shown",
    "monitoring.metrics_path": "test_serving::"
    "test_a_card_that_torch_cannot_use_is_named_and_its_figures_are_shown",
    "performance.max_workers": "test_serving::test_so_many_threads_answer_what_waits_for_the_disk",
    "performance.max_concurrency": "test_serving::"
    "test_no_more_predictions_are_waited_for_than_may_be",
    "performance.timeout_keep_alive": "test_serving::test_an_idle_connection_is_closed",
    "performance.max_requests": "test_serving::"
    "test_photographs_share_a_job_and_after_so_many_requests_the_service_ends",
    # auto-tune
    "auto_tune.enabled": "test_auto_tune::"
    "test_the_real_network_is_timed_once_and_the_file_remembers",
    "auto_tune.test_size": "test_auto_tune::"
    "test_the_real_network_is_timed_once_and_the_file_remembers",
    "auto_tune.warmup_runs": "test_auto_tune::"
    "test_the_real_network_is_timed_once_and_the_file_remembers",
    "auto_tune.test_runs": "test_auto_tune::"
    "test_the_real_network_is_timed_once_and_the_file_remembers",
    "performance_cache.last_test": "test_auto_tune::"
    "test_a_result_counts_for_seven_days_and_the_same_card",
    "performance_cache.best_config": "test_auto_tune::test_what_was_found_is_applied",
    "performance_cache.gpu": "test_auto_tune::"
    "test_a_result_counts_for_seven_days_and_the_same_card",
    # cache, Redis
    "cache.enabled": "test_cache::test_a_cache_that_is_off_looks_nothing_up",
    "cache.size": "test_cache::test_the_least_lately_used_goes_first",
    "cache.megabytes": "test_cache::test_results_take_no_more_than_so_many_bytes",
    "cache.ttl_s": "test_cache::test_services_tell_each_other_of_results",
    "cache.clear_at_start": "test_cache::"
    "test_a_cache_that_was_cleared_knows_nothing_and_nor_do_later_runs",
    "redis.enabled": "test_cache::test_services_tell_each_other_of_results",
    "redis.url": "test_cache::test_a_redis_that_is_gone_is_counted_and_done_without",
    "redis.prefix": "test_cache::test_what_somebody_put_into_redis_leads_nowhere",
    # webhook
    "webhook.enabled": "test_webhooks::test_nothing_is_written_where_webhooks_are_off",
    "webhook.task_completed": "test_webhooks::"
    "test_everybody_who_wants_to_know_is_told_once_and_can_check_it",
    "webhook.task_failed": "test_webhooks::test_a_failed_job_says_why",
    "webhook.allow": "test_webhooks::test_a_list_allows_networks_and_names",
    "webhook.allow_http": "test_webhooks::test_what_is_not_a_public_https_address_is_refused",
    "webhook.secret": "test_webhooks::test_a_secret_of_the_settings_signs_and_is_changed_there",
    "webhook.former_secret": "test_webhooks::"
    "test_a_secret_of_the_settings_signs_and_is_changed_there",
    "webhook.keep_former_s": "test_webhooks::test_during_a_change_messages_carry_both_signatures",
    "webhook.base_url": "test_webhooks::"
    "test_everybody_who_wants_to_know_is_told_once_and_can_check_it",
    "webhook.timeout_s": "test_webhooks::test_a_slow_receiver_is_cut_off_and_holds_up_nobody",
    "webhook.retry_after_s": "test_webhooks::test_after_the_last_try_it_is_given_up",
    "webhook.senders": "test_webhooks::test_a_slow_receiver_is_cut_off_and_holds_up_nobody",
    "webhook.keep_days": "test_small_keys::test_sent_messages_are_forgotten_after_so_many_days",
    # queue
    "queue.executor": "test_executors::"
    "test_workers_take_jobs_from_redis_and_each_is_done_once_though_one_is_killed",
    "queue.address": "test_executors::"
    "test_workers_take_jobs_from_redis_and_each_is_done_once_though_one_is_killed",
    "queue.workers": "test_executors::"
    "test_a_worker_needs_no_redis_and_saves_its_job_when_it_is_asked_to_leave",
    "queue.database": "test_executors::"
    "test_a_worker_needs_no_redis_and_saves_its_job_when_it_is_asked_to_leave",
    "queue.max_waiting": "test_queue::"
    "test_quotas_are_answered_with_when_to_ask_again_and_urgent_jobs_go_first",
    "queue.owner_queued": "test_queue::"
    "test_quotas_are_answered_with_when_to_ask_again_and_urgent_jobs_go_first",
    "queue.owner_running": "test_jobs::test_an_owner_has_no_more_jobs_at_work_than_one_may",
    "queue.owner_gpu_s": "test_jobs::test_a_job_beyond_a_quota_is_refused_and_not_kept",
    "queue.owner_mb": "test_jobs::test_a_job_beyond_a_quota_is_refused_and_not_kept",
    "queue.lease_s": "test_jobs::test_a_silent_worker_loses_its_job_and_can_write_nothing_more",
    "queue.grace_s": "test_service::test_a_cancelled_job_leaves_no_process_behind",
    "queue.attempts": "test_service::"
    "test_a_process_that_is_ended_each_time_fails_the_job_in_the_end",
    "queue.warm_jobs": "test_warm::"
    "test_predictions_share_a_process_until_it_is_spent_and_other_jobs_have_their_own",
    "queue.warm_mb": "test_warm::test_a_process_is_spent_by_its_jobs_or_by_its_growth",
    "queue.nice": "test_small_keys::test_jobs_stand_back_by_so_much",
    # access
    "access.mode": "test_access::test_every_route_is_asked_by_everybody",
    "access.insecure": "test_access::test_insecure_lets_everybody_in_and_counts_them",
    "access.hosts": "test_access::test_other_names_and_sites_are_let_in_where_settings_say_so",
    "access.cors_origins": "test_access::"
    "test_other_names_and_sites_are_let_in_where_settings_say_so",
    "access.trusted_proxies": "test_access::"
    "test_the_address_behind_a_proxy_is_believed_only_of_a_trusted_one",
    "access.rate_limit": "test_access::test_too_many_requests_are_told_when_to_come_again",
    "access.anonymous_rate_limit": "test_access::"
    "test_too_many_requests_are_told_when_to_come_again",
    "access.rate_window_s": "test_limits::test_the_window_moves",
    "access.session_lifetime_s": "test_sessions::test_a_cookie_ends_with_its_time",
    "access.tokens.issuer": "test_keys::test_a_token_that_is_not_right_is_refused",
    "access.tokens.audience": "test_keys::test_a_token_that_is_not_right_is_refused",
    "access.tokens.lifetime_s": "test_access::test_a_token_may_have_fewer_scopes_and_never_more",
    "access.tokens.secret": "test_keys::test_our_token_says_whose_key_it_was_given_for",
    "access.tokens.jwks_url": "test_keys::test_keys_that_cannot_be_had_are_no_fault_of_the_caller",
    "access.tokens.jwks_issuer": "test_keys::"
    "test_a_token_of_the_other_issuer_is_taken_and_its_keys_are_asked_for_once",
    "access.tokens.jwks_audience": "test_keys::test_a_token_that_is_not_right_is_refused",
    # uploads
    "uploads.upload_mb": "test_hostile::test_a_declared_oversize_is_answered_before_it_comes",
    "uploads.file_mb": "test_uploads::test_a_file_that_is_too_large_leaves_nothing",
    "uploads.unpacked_mb": "test_archives::test_too_much_is_refused_before_a_byte_is_written",
    "uploads.archive_entries": "test_archives::test_too_much_is_refused_before_a_byte_is_written",
    "uploads.archive_ratio": "test_hostile::test_archive_bombs",
    "uploads.max_pixels": "test_uploads::test_the_limits_of_a_picture_are_settings",
    "uploads.max_side_px": "test_uploads::test_the_limits_of_a_picture_are_settings",
    "uploads.max_frames": "test_uploads::test_a_film_is_no_picture_unless_settings_say_so",
    "uploads.decode": "test_uploads::test_pictures_are_decoded_in_a_child_where_settings_say_so",
    "uploads.decode_mb": "test_uploads::test_a_child_that_needs_too_much_is_ended",
    "uploads.decode_s": "test_uploads::test_a_child_that_needs_too_much_is_ended",
    "uploads.idle_s": "test_hostile::test_slow_upload",
    "uploads.least_bytes_per_s": "test_hostile::test_slow_upload",
    # retention
    "retention.days": "test_retention::test_old_results_go_with_all_that_belongs_to_them",
    "retention.total_mb": "test_retention::test_the_oldest_go_until_the_rest_fits",
    "retention.owner_mb": "test_retention::test_one_who_keeps_too_much_loses_only_his_own",
    "retention.uploads_days": "test_retention::test_uploads_go_unless_an_open_job_reads_them",
    "retention.every_s": "test_small_keys::test_results_are_looked_through_so_often",
}


def keys() -> list[str]:
    return [
        ".".join(map(str, path))
        for path, info in fields(ServeConfig)
        if not branches(info.annotation)
    ]


def written() -> set[str]:
    return {
        f"{path.stem}::{node.name}"
        for path in HERE.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize("key", keys())
def test_every_key_is_shown_at_work(key: str) -> None:
    assert key in SHOWN, f"{key} has no test that shows it at work; name one here"


def test_the_tests_that_are_named_exist_and_the_keys_too() -> None:
    known = written()
    gone = {key: name for key, name in SHOWN.items() if name not in known}
    assert not gone
    assert not set(SHOWN) - set(keys())
