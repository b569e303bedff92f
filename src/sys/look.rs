//! One step of a path: what an entry is, where a symbolic link leads, what is above.

use std::os::fd::AsRawFd;

use super::dir::{Dir, REACH, cstring};
use super::{Call, Errno, call_size};

/// What stands under a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Look {
    /// A directory.
    Directory,
    /// A symbolic link, and what is written in it.
    Link(Vec<u8>),
    /// Anything else, and its number of hard links.
    Other(u64),
}

impl Dir {
    /// What stands under a name in this directory; a link is not followed.
    pub fn look(&self, name: &[u8]) -> Result<Look, Errno> {
        let stat = self.stat(name)?;
        match stat.st_mode & libc::S_IFMT {
            libc::S_IFDIR => Ok(Look::Directory),
            libc::S_IFLNK => self.link(name).map(Look::Link),
            _ => Ok(Look::Other(stat.st_nlink)),
        }
    }

    fn link(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let name = cstring(name)?;
        let mut target = vec![0; libc::PATH_MAX as usize];
        let room = target.len();
        let len = call_size(Call::Stat, || {
            let to = target.as_mut_ptr().cast();
            // SAFETY: `name` is NUL-terminated, and the kernel writes at most `room` bytes.
            unsafe { libc::readlinkat(self.as_raw_fd(), name.as_ptr(), to, room) }
        })?;
        target.truncate(len);
        Ok(target)
    }

    /// Where a link leads that nobody else has put there: it belongs to root, or to this process's
    /// user. Link and owner are of one look, so neither can be of another link.
    pub fn own_link(&self, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
        let flags = REACH & !libc::O_DIRECTORY | libc::O_NOFOLLOW;
        let link = Self::open_at(self.as_raw_fd(), &cstring(name)?, flags)?;
        let stat = link.stat(b"")?;
        // SAFETY: no arguments, and it cannot fail.
        let own = stat.st_uid == 0 || stat.st_uid == unsafe { libc::geteuid() };
        if stat.st_mode & libc::S_IFMT != libc::S_IFLNK || !own {
            return Ok(None);
        }
        link.link(b"").map(Some)
    }

    /// Does the kernel let this process follow a link here? Not in a directory like /tmp, if it is
    /// somebody else's (fs.protected_symlinks; fs/namei.c, may_follow_link).
    pub fn may_follow(&self, name: &[u8]) -> Result<(), Errno> {
        let open_to_all = libc::S_ISVTX | libc::S_IWOTH;
        let (Ok(here), Ok(link)) = (self.stat(b""), self.stat(name)) else {
            return Ok(());
        };
        if here.st_mode & open_to_all != open_to_all || link.st_uid == here.st_uid {
            return Ok(());
        }
        // Whether the rule is in force, and whose link it is, the kernel knows best.
        match Self::open_at(self.as_raw_fd(), &cstring(name)?, REACH & !libc::O_DIRECTORY) {
            Err(errno @ Errno(libc::EACCES)) => Err(errno),
            _ => Ok(()),
        }
    }

    /// The directory above.
    pub fn parent(&self) -> Result<Self, Errno> {
        Self::open_at(self.as_raw_fd(), c"..", REACH)
    }
}
