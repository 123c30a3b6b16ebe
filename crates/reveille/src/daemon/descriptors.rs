//! How many file descriptors each door may take: a flood of HTTP clients leaves enough for TFTP, the store and ourselves.
//!
//! DHCP opens none after the start. An HTTP client takes one, a TFTP transfer one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Kept for the store, listeners, files being opened and up to 256 clients of the API.
const RESERVE: u64 = 512;
/// Of a small limit, one part in so many is kept.
const RESERVE_PARTS: u64 = 4;
/// Of what is left, when it is too little for all, one part in so many is for TFTP.
const TFTP_PARTS: u64 = 3;

/// Places that have a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Budget {
    /// HTTP clients.
    pub(super) http: usize,
    /// TFTP transfers.
    pub(super) tftp: usize,
}

impl Budget {
    /// Takes as many descriptors as the system lets this process have, and divides them.
    pub(super) fn take(http: usize, tftp: usize) -> Budget {
        let limit = match getrlimit(Resource::RLIMIT_NOFILE) {
            Ok((soft, hard)) if soft < hard => match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
                Ok(()) => hard,
                Err(error) => {
                    tracing::warn!(%error, soft, hard, "cannot raise the limit of open files");
                    soft
                }
            },
            Ok((soft, _)) => soft,
            // It cannot be asked for on any system we know; the accept loops bear running out.
            Err(_) => u64::MAX,
        };
        let budget = Budget::divide(limit, http, tftp);
        if (budget.http, budget.tftp) != (http, tftp) {
            tracing::warn!(
                open_files_max = limit,
                http_clients_max = budget.http,
                tftp_transfers_max = budget.tftp,
                "the limit of open files is too low for the settings; raise it (LimitNOFILE=)"
            );
        }
        budget
    }

    fn divide(limit: u64, http: usize, tftp: usize) -> Budget {
        let left = limit - RESERVE.min(limit / RESERVE_PARTS);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let share = left / usize::try_from(TFTP_PARTS).unwrap_or(1);
        // Who needs less than its share leaves the rest to the other.
        let for_tftp = tftp.min(share.max(left.saturating_sub(http)));
        Budget { http: http.min(left - for_tftp).max(1), tftp: for_tftp.max(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usual_limit_changes_nothing() {
        for limit in [8192, 524_288, u64::MAX] {
            assert_eq!(Budget::divide(limit, 4096, 2048), Budget { http: 4096, tftp: 2048 });
        }
    }

    #[test]
    fn a_low_limit_is_shared_and_never_spent_whole() {
        for limit in [16u64, 64, 256, 1024, 4096] {
            let Budget { http, tftp } = Budget::divide(limit, 4096, 2048);
            assert!((http + tftp) as u64 <= limit - limit / 8, "{limit}: {http} and {tftp}");
            assert!(http >= 1 && tftp >= 1 && tftp as u64 >= limit / 8 && http as u64 >= limit / 4);
        }
    }

    #[test]
    fn who_needs_less_leaves_the_rest_to_the_other() {
        assert_eq!(Budget::divide(1024, 4096, 16), Budget { http: 752, tftp: 16 });
        assert_eq!(Budget::divide(1024, 10, 2048), Budget { http: 10, tftp: 758 });
    }
}
