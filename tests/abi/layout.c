/* layout.c: where every field lies on a 64-bit machine, now and for as long as the soname is this one. tests/abi.rs holds
 * the same lines against the Rust structs, so a field that moves on either side is seen. Only compiled, never run. */
#include <riverrun.h>

#define WHOLE(type, bytes) _Static_assert(sizeof(type) == bytes, #type " has another size")
#define FIELD(type, field, at) _Static_assert(offsetof(type, field) == at, #type "." #field " lies elsewhere")

_Static_assert(sizeof(void *) == 8 && sizeof(size_t) == 8 && sizeof(pid_t) == 4 && sizeof(int) == 4, "LP64");
_Static_assert(sizeof(rr_code) == 4 && sizeof(bool) == 1, "codes are 32 bits");

WHOLE(rr_buf, 24);
FIELD(rr_buf, data, 0);
FIELD(rr_buf, len, 8);
FIELD(rr_buf, reserved, 16);

WHOLE(rr_context_options, 56);
FIELD(rr_context_options, size, 0);
FIELD(rr_context_options, root, 8);
FIELD(rr_context_options, flags, 16);
FIELD(rr_context_options, log, 24);
FIELD(rr_context_options, log_data, 32);
FIELD(rr_context_options, log_level, 40);
FIELD(rr_context_options, reserved0, 44);
FIELD(rr_context_options, init_path, 48);

WHOLE(rr_call, 16);
FIELD(rr_call, size, 0);
FIELD(rr_call, timeout_ms, 8);
FIELD(rr_call, cancel_fd_plus1, 12);

WHOLE(rr_stdio, 8);
FIELD(rr_stdio, kind, 0);
FIELD(rr_stdio, fd, 4);

WHOLE(rr_fd_map, 8);
FIELD(rr_fd_map, host_fd, 0);
FIELD(rr_fd_map, container_fd, 4);

WHOLE(rr_io, 64);
FIELD(rr_io, size, 0);
FIELD(rr_io, in, 8);
FIELD(rr_io, out, 16);
FIELD(rr_io, err, 24);
FIELD(rr_io, console_socket, 32);
FIELD(rr_io, rows, 40);
FIELD(rr_io, cols, 42);
FIELD(rr_io, reserved0, 44);
FIELD(rr_io, fds, 48);
FIELD(rr_io, n_fds, 56);

WHOLE(rr_create_options, 88);
FIELD(rr_create_options, size, 0);
FIELD(rr_create_options, flags, 8);
FIELD(rr_create_options, bundle, 16);
FIELD(rr_create_options, config, 24);
FIELD(rr_create_options, config_len, 32);
FIELD(rr_create_options, rootfs_fd_plus1, 40);
FIELD(rr_create_options, reserved0, 44);
FIELD(rr_create_options, pid_file, 48);
FIELD(rr_create_options, io, 56);
FIELD(rr_create_options, hook, 64);
FIELD(rr_create_options, hook_data, 72);
FIELD(rr_create_options, call, 80);

WHOLE(rr_exec_options, 72);
FIELD(rr_exec_options, size, 0);
FIELD(rr_exec_options, flags, 8);
FIELD(rr_exec_options, process, 16);
FIELD(rr_exec_options, process_len, 24);
FIELD(rr_exec_options, cgroups, 32);
FIELD(rr_exec_options, n_cgroups, 40);
FIELD(rr_exec_options, pid_file, 48);
FIELD(rr_exec_options, io, 56);
FIELD(rr_exec_options, call, 64);
WHOLE(rr_update_options, 40);
FIELD(rr_update_options, size, 0);
FIELD(rr_update_options, flags, 8);
FIELD(rr_update_options, l3_cache_schema, 16);
FIELD(rr_update_options, mem_bw_schema, 24);
FIELD(rr_update_options, call, 32);

WHOLE(rr_checkpoint_options, 88);
FIELD(rr_checkpoint_options, size, 0);
FIELD(rr_checkpoint_options, flags, 8);
FIELD(rr_checkpoint_options, images, 16);
FIELD(rr_checkpoint_options, images_fd_plus1, 24);
FIELD(rr_checkpoint_options, work_fd_plus1, 28);
FIELD(rr_checkpoint_options, work, 32);
FIELD(rr_checkpoint_options, parent, 40);
FIELD(rr_checkpoint_options, page_server, 48);
FIELD(rr_checkpoint_options, page_server_port, 56);
FIELD(rr_checkpoint_options, status_fd_plus1, 60);
FIELD(rr_checkpoint_options, manage_cgroups, 64);
FIELD(rr_checkpoint_options, network_lock, 68);
FIELD(rr_checkpoint_options, criu, 72);
FIELD(rr_checkpoint_options, call, 80);

WHOLE(rr_restore_options, 72);
FIELD(rr_restore_options, size, 0);
FIELD(rr_restore_options, flags, 8);
FIELD(rr_restore_options, images, 16);
FIELD(rr_restore_options, images_fd_plus1, 24);
FIELD(rr_restore_options, work_fd_plus1, 28);
FIELD(rr_restore_options, work, 32);
FIELD(rr_restore_options, manage_cgroups, 40);
FIELD(rr_restore_options, network_lock, 44);
FIELD(rr_restore_options, lsm_profile, 48);
FIELD(rr_restore_options, lsm_mount_context, 56);
FIELD(rr_restore_options, criu, 64);

WHOLE(rr_migration_event, 72);
FIELD(rr_migration_event, size, 0);
FIELD(rr_migration_event, type, 8);
FIELD(rr_migration_event, round, 12);
FIELD(rr_migration_event, files, 16);
FIELD(rr_migration_event, bytes, 24);
FIELD(rr_migration_event, sending_ns, 32);
FIELD(rr_migration_event, memory, 40);
FIELD(rr_migration_event, downtime_ns, 48);
FIELD(rr_migration_event, pid, 56);
FIELD(rr_migration_event, frozen, 60);
FIELD(rr_migration_event, reason, 64);

WHOLE(rr_migrate_options, 72);
FIELD(rr_migrate_options, size, 0);
FIELD(rr_migrate_options, flags, 8);
FIELD(rr_migrate_options, rounds, 16);
FIELD(rr_migrate_options, patience_ms, 20);
FIELD(rr_migrate_options, work, 24);
FIELD(rr_migrate_options, manage_cgroups, 32);
FIELD(rr_migrate_options, network_lock, 36);
FIELD(rr_migrate_options, criu, 40);
FIELD(rr_migrate_options, progress, 48);
FIELD(rr_migrate_options, progress_data, 56);
FIELD(rr_migrate_options, call, 64);

WHOLE(rr_receive_options, 56);
FIELD(rr_receive_options, size, 0);
FIELD(rr_receive_options, flags, 8);
FIELD(rr_receive_options, limit, 16);
FIELD(rr_receive_options, patience_ms, 24);
FIELD(rr_receive_options, manage_cgroups, 28);
FIELD(rr_receive_options, network_lock, 32);
FIELD(rr_receive_options, reserved0, 36);
FIELD(rr_receive_options, work, 40);
FIELD(rr_receive_options, criu, 48);

WHOLE(rr_migrated, 40);
FIELD(rr_migrated, size, 0);
FIELD(rr_migrated, pid, 8);
FIELD(rr_migrated, rounds, 12);
FIELD(rr_migrated, bytes, 16);
FIELD(rr_migrated, downtime_ns, 24);
FIELD(rr_migrated, total_ns, 32);

WHOLE(rr_state_info, 32);
FIELD(rr_state_info, size, 0);
FIELD(rr_state_info, status, 8);
FIELD(rr_state_info, pid, 12);
FIELD(rr_state_info, start_time, 16);
FIELD(rr_state_info, created_ns, 24);

WHOLE(rr_exit, 32);
FIELD(rr_exit, size, 0);
FIELD(rr_exit, code, 8);
FIELD(rr_exit, sig, 12);
FIELD(rr_exit, flags, 16);
FIELD(rr_exit, exited_ns, 24);

WHOLE(rr_stats_options, 32);
FIELD(rr_stats_options, size, 0);
FIELD(rr_stats_options, what, 8);
FIELD(rr_stats_options, percpu, 16);
FIELD(rr_stats_options, percpu_cap, 24);

WHOLE(rr_stats_info, 296);
FIELD(rr_stats_info, size, 0);
FIELD(rr_stats_info, present, 8);
FIELD(rr_stats_info, taken_ns, 16);
FIELD(rr_stats_info, cpu_total, 24);
FIELD(rr_stats_info, cpu_user, 32);
FIELD(rr_stats_info, cpu_kernel, 40);
FIELD(rr_stats_info, cpu_periods, 48);
FIELD(rr_stats_info, cpu_throttled_periods, 56);
FIELD(rr_stats_info, cpu_throttled, 64);
FIELD(rr_stats_info, memory_usage, 72);
FIELD(rr_stats_info, memory_limit, 80);
FIELD(rr_stats_info, memory_max, 88);
FIELD(rr_stats_info, memory_failcnt, 96);
FIELD(rr_stats_info, memory_anon, 104);
FIELD(rr_stats_info, memory_file, 112);
FIELD(rr_stats_info, memory_inactive_file, 120);
FIELD(rr_stats_info, memory_kernel, 128);
FIELD(rr_stats_info, memory_swap, 136);
FIELD(rr_stats_info, memory_pgfault, 144);
FIELD(rr_stats_info, memory_pgmajfault, 152);
FIELD(rr_stats_info, memory_oom, 160);
FIELD(rr_stats_info, memory_oom_kill, 168);
FIELD(rr_stats_info, pids_current, 176);
FIELD(rr_stats_info, pids_limit, 184);
FIELD(rr_stats_info, io_read_bytes, 192);
FIELD(rr_stats_info, io_write_bytes, 200);
FIELD(rr_stats_info, io_reads, 208);
FIELD(rr_stats_info, io_writes, 216);
FIELD(rr_stats_info, cpu_some, 224);
FIELD(rr_stats_info, cpu_full, 232);
FIELD(rr_stats_info, memory_some, 240);
FIELD(rr_stats_info, memory_full, 248);
FIELD(rr_stats_info, io_some, 256);
FIELD(rr_stats_info, io_full, 264);
FIELD(rr_stats_info, rdma_handles, 272);
FIELD(rr_stats_info, rdma_objects, 280);
FIELD(rr_stats_info, n_percpu, 288);

WHOLE(rr_pressure, 16);
FIELD(rr_pressure, resource, 0);
FIELD(rr_pressure, full, 4);
FIELD(rr_pressure, stall_us, 8);
FIELD(rr_pressure, window_us, 12);

WHOLE(rr_events_options, 40);
FIELD(rr_events_options, size, 0);
FIELD(rr_events_options, mask, 8);
FIELD(rr_events_options, stats_interval_ms, 16);
FIELD(rr_events_options, reserved0, 20);
FIELD(rr_events_options, pressure, 24);
FIELD(rr_events_options, n_pressure, 32);

WHOLE(rr_event, 72);
FIELD(rr_event, size, 0);
FIELD(rr_event, type, 8);
FIELD(rr_event, pid, 12);
FIELD(rr_event, time_ns, 16);
FIELD(rr_event, count, 24);
FIELD(rr_event, exit_code, 32);
FIELD(rr_event, exit_sig, 36);
FIELD(rr_event, exit_flags, 40);
FIELD(rr_event, status, 48);
FIELD(rr_event, index, 52);
FIELD(rr_event, json, 56);
FIELD(rr_event, json_len, 64);
