//! Synthetic ESXi media: the layout of real ones, modules of noise, and a loader and a kernel of our own that real firmware
//! runs (`tests/esxi/*.c`, compiled here).

use crate::daemon::workspace;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// One line of releases, as its media are laid out.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    /// As in `build=`: `8.0.3-0.0.24022510`.
    pub build: &'static str,
    /// Kernel options of the medium.
    pub kernelopt: &'static str,
    /// Names of its modules behind the kernel, as `boot.cfg` has them.
    pub modules: &'static [&'static str],
}

/// The lines we serve, oldest first.
pub const RELEASES: [Release; 4] = [
    Release {
        build: "6.7.0-3.73.14320388",
        kernelopt: "runweasel",
        modules: &[
            "jumpstrt.gz",
            "useropts.gz",
            "features.gz",
            "k.b00",
            "uc_intel.b00",
            "uc_amd.b00",
            "sb.v00",
            "s.v00",
        ],
    },
    Release {
        build: "7.0.3-0.20.19193900",
        kernelopt: "runweasel cdromBoot",
        modules: &[
            "jumpstrt.gz",
            "useropts.gz",
            "features.gz",
            "k.b00",
            "uc_hygon.b00",
            "procfs.b00",
            "vmx.v00",
            "sb.v00",
            "s.v00",
        ],
    },
    Release {
        build: "8.0.3-0.0.24022510",
        kernelopt: "runweasel cdromBoot",
        modules: &[
            "jumpstrt.gz",
            "useropts.gz",
            "features.gz",
            "k.b00",
            "vmx.v00",
            "vim.v00",
            "tpm.v00",
            "sb.v00",
            "s.v00",
            "imgdb.tgz",
            "imgpayld.tgz",
        ],
    },
    Release {
        build: "9.0.0-0.0.24755229",
        kernelopt: "runweasel cdromBoot",
        modules: &[
            "jumpstrt.gz",
            "useropts.gz",
            "features.gz",
            "k.b00",
            "vmx.v00",
            "vim.v00",
            "sb.v00",
            "s.v00",
            "imgdb.tgz",
            "imgpayld.tgz",
        ],
    },
];

/// A medium, extracted: names in upper case as on ISO 9660.
#[derive(Debug)]
pub struct Medium {
    /// Its files.
    pub folder: PathBuf,
    /// Which release it is.
    pub release: Release,
}

impl Medium {
    /// Builds one below `folder`; each module has `module_bytes` of noise.
    ///
    /// # Errors
    /// When the compiler is missing or a file cannot be written.
    pub fn build(folder: &Path, release: Release, module_bytes: usize) -> Result<Medium> {
        let root = folder.join(format!("esxi-{}", release.build));
        std::fs::create_dir_all(root.join("EFI/BOOT"))?;
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(root.join(name), bytes).with_context(|| format!("cannot write {name}"))
        };
        let modules: Vec<String> = release.modules.iter().map(|name| format!("/{name}")).collect();
        let config = format!(
            "bootstate=0\ntitle=Loading ESXi installer\ntimeout=5\nprefix=\nkernel=/b.b00\nkernelopt={}\nmodules={}\n\
             build={}\nupdated=0\n",
            release.kernelopt,
            modules.join(" --- "),
            release.build
        );
        write("BOOT.CFG", config.as_bytes())?;
        write("EFI/BOOT/BOOT.CFG", config.as_bytes())?;
        write("MBOOT.C32", b"a COM32 module for Syslinux 3.86 would be here")?;
        std::fs::copy(loader(folder)?, root.join("EFI/BOOT/BOOTX64.EFI"))?;
        write("EFI/BOOT/CRYPTO64.EFI", b"a crypto module would be here")?;
        std::fs::copy(kernel(folder)?, root.join("B.B00"))?;
        for (at, name) in release.modules.iter().enumerate() {
            write(&name.to_ascii_uppercase(), &noise(at as u64 + 1, module_bytes))?;
        }
        Ok(Medium { folder: root, release })
    }
}

impl Medium {
    /// The medium as an ISO image without extensions, as VMware's are: upper case, `;1`.
    ///
    /// # Errors
    /// What genisoimage said.
    pub fn iso(&self) -> Result<PathBuf> {
        let path = self.folder.with_extension("iso");
        let mut command = Command::new("genisoimage");
        run(command.args(["-quiet", "-iso-level", "2", "-V", "ESXI", "-o"]).arg(&path).arg(&self.folder))?;
        Ok(path)
    }

    /// A module's bytes, by its name in `boot.cfg`.
    ///
    /// # Errors
    /// When there is none.
    pub fn module(&self, name: &str) -> Result<Vec<u8>> {
        std::fs::read(self.folder.join(name.to_ascii_uppercase()))
            .with_context(|| format!("no module {name}"))
    }
}

/// Bytes that do not compress, the same for the same seed (xorshift).
pub(crate) fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).take(count.div_ceil(8)).flatten().take(count).collect()
}

/// Freestanding code for a machine without an operating system.
const COMPILE: [&str; 10] = [
    "-Wall",
    "-O1",
    "-ffreestanding",
    "-fno-ident",
    "-fno-stack-protector",
    "-mno-red-zone",
    "-fno-asynchronous-unwind-tables",
    "-fcf-protection=none",
    "-mgeneral-regs-only",
    "-c",
];

/// The loader's stand-in, an EFI application.
///
/// # Errors
/// What compiler or linker said.
pub fn loader(folder: &Path) -> Result<PathBuf> {
    let (object, program) = (folder.join("mboot.o"), folder.join("mboot.efi"));
    compile("mboot.c", &object, &["-fPIE", "-fvisibility=hidden"])?;
    let mut link = Command::new("ld");
    link.args(["-m", "i386pep", "--subsystem", "10", "-e", "efi_main", "--image-base", "0x100000", "-o"]);
    run(link.arg(&program).arg(&object))?;
    Ok(program)
}

/// The kernel: an ELF file for a fixed address.
///
/// # Errors
/// What compiler or linker said.
pub fn kernel(folder: &Path) -> Result<PathBuf> {
    let (object, program) = (folder.join("kernel.o"), folder.join("kernel.elf"));
    compile("kernel.c", &object, &["-fno-pie", "-mcmodel=large"])?;
    let mut link = Command::new("ld");
    link.args([
        "-static",
        "-Ttext=0x4000000",
        "-e",
        "start",
        "--build-id=none",
        "-z",
        "max-page-size=4096",
        "-o",
    ]);
    run(link.arg(&program).arg(&object))?;
    Ok(program)
}

fn compile(source: &str, object: &Path, more: &[&str]) -> Result<()> {
    let mut command = Command::new("gcc");
    command.args(COMPILE).args(more).arg("-o").arg(object);
    run(command.arg(workspace().join("tests/esxi").join(source)))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot run {:?}", command.get_program()))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
