//! Names and indices of network interfaces. What else there is to know of them: [`crate::link`].

use std::io;

use nix::net::if_::{if_indextoname, if_nametoindex};

/// The index of the interface called `name`.
pub fn index_of(name: &str) -> io::Result<u32> {
    Ok(if_nametoindex(name)?)
}

/// The name of the interface with index `index`.
pub fn name_of(index: u32) -> io::Result<String> {
    let name = if_indextoname(index)?;
    // nix 0.30 mistakes the C library's null pointer for success and hands out an empty name.
    if name.is_empty() {
        return Err(io::Error::from_raw_os_error(libc::ENXIO));
    }
    Ok(name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_indices_are_those_of_the_list() {
        for link in crate::link::list().unwrap() {
            assert_eq!(index_of(&link.name).unwrap(), link.index);
            assert_eq!(name_of(link.index).unwrap(), link.name);
        }
    }

    #[test]
    fn an_unknown_interface_is_an_error() {
        assert!(index_of("no-such-if0").is_err());
        assert!(name_of(u32::MAX).is_err());
    }
}
