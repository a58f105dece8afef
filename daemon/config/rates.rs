//! How much is answered: limits per client, and the memory that they take.

use clockwright_timebase::Duration;

use super::section::section;

section! {
    /// How many requests without NTS of one client are answered.
    pub struct RateConfig or bool {
        /// Between two requests of one client, in the long run.
        "interval" => interval: Duration = Duration::from_secs(1), if interval;
        /// So many may come at once.
        "burst" => burst: u16 = 16, if burst;
        /// One in so many of those beyond the limit is answered all the same; 0: none.
        "leak" => leak: u16 = 4, if leak;
        /// One in so many of those that are not answered is told so (RATE); 0: none.
        "kiss" => kiss: u16 = 0, if kiss;
    }
}

section! {
    /// How many requests with NTS of one client are answered. Nobody can forge these, so whoever
    /// sends too many is who he seems to be: but a request that was recorded can be sent again.
    pub struct NtsRateConfig or bool {
        /// Between two requests of one client, in the long run.
        "interval" => interval: Duration = Duration::from_secs(1), if interval;
        /// So many may come at once.
        "burst" => burst: u16 = 16, if burst;
        /// One in so many of those beyond the limit is answered all the same; 0: none.
        "leak" => leak: u16 = 4, if leak;
    }
}

section! {
    /// How many connections for keys of one client are accepted.
    pub struct ConnectionRateConfig or bool {
        /// Between two connections of one client, in the long run.
        "interval" => interval: Duration = Duration::from_secs(1), if interval;
        /// So many may come at once.
        "burst" => burst: u16 = 32, if burst;
    }
}

section! {
    /// What is remembered of clients, and what one client is.
    pub struct ClientsConfig {
        /// So many are remembered by each worker, for rates and for telling who asks most.
        "table" => table: u32 = 16_384, if table;
        /// Addresses with the same leading bits are one client: of IPv4.
        "ipv4_prefix" => ipv4_prefix: u8 = 32, if ipv4_prefix;
        /// The same of IPv6.
        "ipv6_prefix" => ipv6_prefix: u8 = 64, if ipv6_prefix;
    }
}

/// Shorter would be no limit, and longer would silence honest clients.
fn interval(interval: Duration) -> Result<(), String> {
    if (Duration::from_micros(1)..=Duration::from_secs(3600)).contains(&interval) {
        Ok(())
    } else {
        Err("must be from 1us to 1h".to_owned())
    }
}

fn burst(burst: u16) -> Result<(), String> {
    if burst > 0 {
        Ok(())
    } else {
        Err("with 0 nobody would be answered; the least is 1".to_owned())
    }
}

fn leak(leak: u16) -> Result<(), String> {
    match leak {
        0 | 2..=1024 => Ok(()),
        1 => Err(
            "with 1 all would be answered, and nothing limited; for no limit, leave \
                  the rate out"
                .to_owned(),
        ),
        _ => Err(format!("{leak} is neither 0 nor between 2 and 1024")),
    }
}

fn kiss(kiss: u16) -> Result<(), String> {
    if kiss <= 1024 {
        Ok(())
    } else {
        Err(format!("{kiss} is not between 0 and 1024"))
    }
}

fn table(table: u32) -> Result<(), String> {
    if table <= 4_194_304 {
        Ok(())
    } else {
        Err(format!("{table} is not between 0 and 4194304"))
    }
}

fn ipv4_prefix(prefix: u8) -> Result<(), String> {
    if (8..=32).contains(&prefix) {
        Ok(())
    } else {
        Err(format!("{prefix} is not between 8 and 32"))
    }
}

/// What is beyond the 64th bit a host chooses for itself (RFC 4291 section 2.5.4).
fn ipv6_prefix(prefix: u8) -> Result<(), String> {
    if (16..=64).contains(&prefix) {
        Ok(())
    } else {
        Err(format!("{prefix} is not between 16 and 64"))
    }
}
