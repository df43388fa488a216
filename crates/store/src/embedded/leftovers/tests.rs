use std::time::SystemTime;

use super::*;

/// Times of change tell a file that was written from one that was only synced.
#[test]
fn the_log_is_written_once_more_up_to_its_last_commit_and_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("test.db");
    let log = log_file::log_of(&database);
    let bytes: Vec<u8> = (0..3 * PIECE_BYTES + 77).map(|at| (at % 251) as u8).collect();
    for (end, left) in
        [(bytes.len(), bytes.len()), (PIECE_BYTES + 5, PIECE_BYTES + 5), (4 * PIECE_BYTES, bytes.len())]
    {
        std::fs::write(&database, b"something").unwrap();
        std::fs::write(&log, &bytes).unwrap();
        File::options().write(true).open(&log).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        make_durable(&database, Some(end as u64)).unwrap();
        assert_eq!(std::fs::read(&log).unwrap(), bytes[..left]);
        assert!(log.metadata().unwrap().modified().unwrap() > SystemTime::UNIX_EPOCH);
    }
    std::fs::remove_file(&log).unwrap();
    make_durable(&database, None).unwrap();
    assert!(!log.exists());
}
