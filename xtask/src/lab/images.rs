//! Images built `FROM scratch` out of what Debian installed; nothing is pulled.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::engine::Engine;
use crate::run;

/// A body that makes every applet of busybox a program.
pub(super) const BUSYBOX: &str = r#"COPY bin/busybox /bin/busybox
RUN ["/bin/busybox","--install","-s","/bin"]
ENV PATH=/bin:/usr/bin
CMD ["/bin/sh"]
"#;

/// `alpine` (busybox, for the brief's own command), `twlab/tools` (bash, socat, netcat, also under
/// other names, Redis, OpenSSL), `twlab/bare` (a shell and nothing that could telnet).
pub(super) fn build(engine: &Engine) -> Result<()> {
    image(engine, "alpine", &[], BUSYBOX)?;
    let tools = [
        ("/bin/bash", "bin/bash"),
        ("/usr/bin/socat", "usr/bin/socat"),
        ("/bin/nc.openbsd", "usr/bin/ncat"),
        ("/bin/nc.openbsd", "opt/updater"),
        ("/usr/bin/socat", "opt/healthd"),
        ("/usr/bin/redis-server", "usr/bin/redis-server"),
        ("/usr/bin/redis-cli", "usr/bin/redis-cli"),
        ("/usr/bin/openssl", "usr/bin/openssl"),
    ];
    image(engine, "twlab/tools", &tools, &format!("COPY . /\n{BUSYBOX}"))?;
    let bare = "COPY bin/busybox /bin/sh\nENV PATH=/bin\nCMD [\"/bin/sh\"]\n";
    image(engine, "twlab/bare", &[], bare)
}

/// Builds one.
pub(super) fn image(
    engine: &Engine,
    tag: &str,
    programs: &[(&str, &str)],
    body: &str,
) -> Result<()> {
    let folder = context(tag, programs, body)?;
    let mut build = engine.docker();
    build.args(["build", "-q", "-t", tag]).arg(&folder).env("DOCKER_BUILDKIT", "0");
    run::output_of(&mut build).with_context(|| format!("building the image {tag}"))?;
    fs::remove_dir_all(&folder)?;
    Ok(())
}

/// The folder that an image is built from: busybox, these programs with their libraries, and the
/// Dockerfile.
pub(super) fn context(tag: &str, programs: &[(&str, &str)], body: &str) -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("twlab-{}", tag.replace('/', "-")));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(folder.join("bin"))?;
    fs::create_dir_all(folder.join("tmp"))?;
    fs::copy("/bin/busybox", folder.join("bin/busybox"))?;
    for (from, to) in programs {
        copy_into(Path::new(from), &folder.join(to))?;
        for library in libraries(from)? {
            copy_into(&library, &folder.join(library.strip_prefix("/")?))?;
        }
    }
    fs::write(folder.join("Dockerfile"), format!("FROM scratch\n{body}"))?;
    Ok(folder)
}

fn copy_into(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to).with_context(|| format!("copying {}", from.display()))?;
    Ok(())
}

/// The shared libraries and the loader that `ldd` names.
fn libraries(program: &str) -> Result<BTreeSet<PathBuf>> {
    let listed = run::output(&format!("ldd {program}"))?;
    Ok(listed.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}
