//! What git's index and the work tree say together, in real repositories.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::Instant;

use super::*;

#[test]
fn a_change_has_one_digest_before_and_after_it_is_staged_and_committed() {
    let repo = Repo::new(&[("a/x.ts", "1"), ("b/y.ts", "2")]);
    let (all, b) = (repo.digest(), repo.digest_of("b"));
    let changes: [(&str, &dyn Fn()); 3] = [
        ("edit", &|| repo.write("a/x.ts", "3")),
        ("new file", &|| repo.write("a/new.ts", "4")),
        ("deletion", &|| {
            fs::remove_file(repo.root().join("a/x.ts")).unwrap()
        }),
    ];
    let mut seen = vec![all];
    for (what, change) in changes {
        change();
        let changed = repo.digest();
        assert!(!seen.contains(&changed), "{what} is not seen");
        repo.git(&["add", "--all"]);
        assert_eq!(repo.digest(), changed, "{what}, staged");
        repo.commit();
        assert_eq!(repo.digest(), changed, "{what}, committed");
        seen.push(changed);
    }
    assert_eq!(repo.digest_of("b"), b, "changes elsewhere do not count");
    // Staged, and then changed again.
    repo.write("a/new.ts", "5");
    repo.git(&["add", "--all"]);
    let staged = repo.digest();
    repo.write("a/new.ts", "6");
    assert_ne!(repo.digest(), staged);
    // Removed from the index only: the file is still there.
    repo.write("a/new.ts", "5");
    repo.git(&["rm", "--quiet", "--cached", "a/new.ts"]);
    assert_eq!(repo.digest(), staged);
    repo.git(&["add", "--intent-to-add", "a/new.ts"]);
    assert_eq!(repo.digest(), staged);
}

#[test]
fn a_rename_counts_and_going_back_restores() {
    let repo = Repo::new(&[("a b.ts", "the same text\n"), ("c.ts", "1")]);
    let first = repo.digest();
    repo.git(&["mv", "a b.ts", "z y.ts"]);
    assert_ne!(repo.digest(), first);
    let tree = repo.tree();
    assert!(tree.contains(Path::new("z y.ts")) && !tree.contains(Path::new("a b.ts")));
    repo.git(&["mv", "z y.ts", "a b.ts"]);
    assert_eq!(repo.digest(), first);
    // A file whose name is the beginning of a folder's is not in the folder.
    repo.write("d.ts", "1");
    repo.write("d/e.ts", "1");
    let d = repo.digest_of("d");
    repo.write("d.ts", "2");
    repo.write("d-e/f.ts", "2");
    assert_eq!(repo.digest_of("d"), d);
}

#[test]
fn odd_names_are_read_right_in_every_state() {
    let names: [&[u8]; 10] = [
        b"with space.ts",
        b"new\nline.ts",
        b"\"quoted\".ts",
        b"back\\slash.ts",
        b"tab\there.ts",
        b"-dash.ts",
        b" lead.ts",
        b"trail ",
        b"latin-\xe9.ts",
        b"cr\r",
    ];
    for name in names {
        let repo = Repo::new(&[("first", "1")]);
        let empty = repo.digest();
        let inside = path(b"d \n").join(path(name));
        repo.write(&inside, "one");
        let untracked = repo.digest();
        assert_ne!(untracked, empty, "{inside:?}");
        repo.commit();
        assert_eq!(repo.digest(), untracked, "{inside:?}");
        repo.write(&inside, "two");
        let tree = repo.tree();
        assert_ne!(
            tree.digest(std::slice::from_ref(&inside)),
            tree.digest(&[path(b"first")])
        );
        assert_ne!(repo.digest(), untracked, "{inside:?}");
        assert!(tree.contains(&inside) && tree.contains(&path(b"d \n")));
    }
}

#[test]
fn ignored_files_never_count_unless_tracked() {
    let repo = Repo::new(&[(".gitignore", "dist/\n*.log\n"), ("a/x.ts", "1")]);
    let first = repo.digest();
    repo.write("a/dist/out.js", "1");
    repo.write("a/x.log", "1");
    assert_eq!(repo.digest(), first);
    assert!(!repo.tree().contains(Path::new("a/dist")));
    repo.git(&["add", "--force", "a/x.log"]);
    assert_ne!(repo.digest(), first);
}

#[test]
fn the_executable_bit_counts_the_other_bits_do_not() {
    let repo = Repo::new(&[("run.sh", "1")]);
    let file = repo.root().join("run.sh");
    let first = repo.digest();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(repo.digest(), first);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let executable = repo.digest();
    assert_ne!(executable, first);
    repo.commit();
    assert_eq!(repo.digest(), executable);
}

#[test]
fn links_count_by_where_they_lead_and_what_is_there() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("far"), "1").unwrap();
    let repo = Repo::new(&[("shared/x.ts", "1"), ("shared/y.ts", "1"), ("a/z.ts", "1")]);
    let link = |target: &Path| {
        let at = repo.root().join("a/link");
        let _ = fs::remove_file(&at);
        symlink(target, at).unwrap();
    };
    let plain = repo.digest_of("a");
    link(Path::new("../shared"));
    repo.commit();
    let to_folder = repo.digest_of("a");
    assert_ne!(to_folder, plain);
    repo.write("shared/x.ts", "2");
    let changed = repo.digest_of("a");
    assert_ne!(changed, to_folder);
    assert_ne!(
        repo.digest_of("a/link/x.ts"),
        repo.digest_of("a/link/y.ts"),
        "a path through a link is found"
    );
    link(Path::new("../shared/y.ts"));
    assert!(![plain, to_folder, changed].contains(&repo.digest_of("a")));
    for (target, change) in [
        (outside.path().to_owned(), Some(outside.path().join("far"))),
        (PathBuf::from("nowhere"), None),
        (PathBuf::from("link"), None),
        (PathBuf::from(".."), Some(repo.root().join("top.ts"))),
    ] {
        link(&target);
        let before = repo.digest_of("a");
        if let Some(file) = change {
            fs::write(file, format!("{target:?}")).unwrap();
            assert_ne!(repo.digest_of("a"), before, "{target:?}");
        } else {
            assert_eq!(repo.digest_of("a"), before, "{target:?}");
        }
    }
}

#[test]
fn a_file_may_become_a_folder_and_back() {
    let repo = Repo::new(&[("a", "1"), ("b/c", "1")]);
    let first = repo.digest();
    fs::remove_file(repo.root().join("a")).unwrap();
    repo.write("a/x", "1");
    fs::remove_dir_all(repo.root().join("b")).unwrap();
    repo.write("b", "1");
    let swapped = repo.digest();
    assert_ne!(swapped, first);
    repo.commit();
    assert_eq!(repo.digest(), swapped);
}

#[test]
fn submodules_and_repositories_inside_count_by_their_files() {
    let library = Repo::new(&[("lib.ts", "1"), (".gitignore", "out\n")]);
    let repo = Repo::new(&[("a", "1")]);
    let url = library.root().display().to_string();
    let none = repo.digest();
    repo.git(&["submodule", "--quiet", "add", &url, "vendor/lib"]);
    repo.commit();
    let first = repo.digest();
    assert_ne!(first, none);
    repo.write("vendor/lib/out", "1");
    assert_eq!(repo.digest(), first, "ignored there");
    for file in ["vendor/lib/lib.ts", "vendor/lib/new.ts"] {
        let before = (repo.digest(), repo.digest_of("vendor/lib/lib.ts"));
        repo.write(file, "2");
        assert_ne!(repo.digest(), before.0, "{file}");
        // A path inside a submodule stands for the whole of it.
        assert_ne!(repo.digest_of("vendor/lib/lib.ts"), before.1, "{file}");
    }
    git(
        &repo.root().join("vendor/lib"),
        &["stash", "--quiet", "--include-untracked"],
    );
    assert_eq!(repo.digest(), first);
    repo.git(&["submodule", "--quiet", "deinit", "--force", "--all"]);
    assert_ne!(repo.digest(), first, "not fetched");

    let before = repo.digest();
    repo.write("nested/x.ts", "1");
    git(&repo.root().join("nested"), &["init", "--quiet"]);
    let nested = repo.digest();
    assert_ne!(nested, before);
    repo.write("nested/x.ts", "2");
    assert_ne!(repo.digest(), nested);
}

#[test]
fn an_edit_right_after_git_add_is_seen() {
    let repo = Repo::new(&[("x", "0000")]);
    let mut last = repo.digest();
    for round in 1..20 {
        // The same size and, as often as not, the same second as the index.
        repo.write("x", &format!("{round:04}"));
        repo.git(&["add", "x"]);
        repo.write("x", &format!("{:04}", 9000 + round));
        let now = repo.digest();
        assert_ne!(now, last, "round {round}");
        last = now;
    }
}

#[test]
fn files_git_was_told_to_overlook_are_looked_at() {
    for flag in ["--assume-unchanged", "--skip-worktree"] {
        let repo = Repo::new(&[("x", "1"), ("y", "1")]);
        let first = repo.digest();
        repo.git(&["update-index", flag, "x"]);
        assert_eq!(repo.digest(), first, "{flag}");
        repo.write("x", "2");
        assert_ne!(repo.digest(), first, "{flag}");
        fs::remove_file(repo.root().join("x")).unwrap();
        assert!(!repo.tree().contains(Path::new("x")), "{flag}");
    }
}

#[test]
fn line_ends_count_as_git_stores_them_and_other_conversions_as_they_are() {
    let repo = Repo::new(&[("x.ts", "a\nb\n")]);
    let lf = repo.digest_of("x.ts");
    repo.write(".gitattributes", "* text=auto eol=crlf\n");
    repo.commit();
    fs::remove_file(repo.root().join("x.ts")).unwrap();
    repo.git(&["checkout", "--", "x.ts"]);
    assert_eq!(fs::read(repo.root().join("x.ts")).unwrap(), b"a\r\nb\r\n");
    assert_eq!(repo.digest_of("x.ts"), lf);
    repo.write("x.ts", "a\r\nc\r\n");
    let edited = repo.digest_of("x.ts");
    assert_ne!(edited, lf);
    repo.commit();
    assert_eq!(repo.digest_of("x.ts"), edited);

    // To git, `$Id: anything$` is `$Id$`.
    repo.write(".gitattributes", "*.v ident\n");
    repo.write("x.v", "$Id: one $\n");
    repo.commit();
    let before = repo.digest_of("x.v");
    repo.write("x.v", "$Id: two $\n");
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    assert_ne!(repo.digest_of("x.v"), before);
}

#[test]
fn a_merge_in_progress_counts_as_the_work_tree_is() {
    let repo = Repo::new(&[("x", "1\n")]);
    repo.git(&["checkout", "--quiet", "-b", "other"]);
    repo.write("x", "2\n");
    repo.commit();
    repo.git(&["checkout", "--quiet", "main"]);
    repo.write("x", "3\n");
    repo.commit();
    let ours = repo.digest();
    repo.git(&["read-tree", "-m", "main~1", "main", "other"]);
    assert!(repo.git(&["ls-files", "--unmerged"]).contains('x'));
    assert_eq!(repo.digest(), ours);
    repo.write("x", "4\n");
    assert_ne!(repo.digest(), ours);
}

#[test]
fn two_checkouts_and_linked_work_trees_agree() {
    let repo = Repo::new(&[("a/x.ts", "1"), ("shared/s.ts", "1")]);
    let elsewhere = tempfile::tempdir().unwrap();
    let (clone, linked) = (
        elsewhere.path().join("clone"),
        elsewhere.path().join("linked"),
    );
    repo.git(&["clone", "--quiet", ".", clone.to_str().unwrap()]);
    repo.git(&["worktree", "add", "--quiet", linked.to_str().unwrap()]);
    let digest = |root: &Path, list: &[&str]| {
        let list: Vec<PathBuf> = list.iter().map(PathBuf::from).collect();
        Tree::read(&Git::open(root).unwrap()).unwrap().digest(&list)
    };
    for root in [&clone, &linked] {
        assert_eq!(digest(root, &[""]), repo.digest());
    }
    // The project may be a folder of the repository, and use what lies beside it.
    let inside = digest(&clone.join("a"), &["x.ts", "../shared"]);
    assert_eq!(
        inside,
        digest(&clone, &["shared/", "./a/x.ts", "a/../a/x.ts"])
    );
    fs::write(clone.join("shared/s.ts"), "2").unwrap();
    assert_ne!(inside, digest(&clone.join("a"), &["x.ts", "../shared"]));
}

#[test]
fn a_repository_without_a_commit_has_files_too() {
    let dir = tempfile::tempdir().unwrap();
    let repo = Repo { dir };
    repo.git(&["init", "--quiet"]);
    let empty = repo.digest();
    repo.write("x", "1");
    assert_ne!(repo.digest(), empty);
}

#[test]
#[ignore = "a measurement: run it alone, with --nocapture"]
fn ten_thousand_files_are_read_in_little_more_than_gits_time() {
    let files: Vec<(String, String)> = (0..10_000)
        .map(|n| {
            (
                format!("workers/w{}/src/d{}/f{n}.ts", n % 50, n % 7),
                format!("{n}"),
            )
        })
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    let repo = Repo::new(&files);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    repo.git(&["status"]);
    let start = Instant::now();
    repo.git(&["ls-files", "-s", "-v", "-z"]);
    repo.git(&["status", "--porcelain=v1", "-z", "--untracked-files=all"]);
    let git = start.elapsed();
    let start = Instant::now();
    let tree = repo.tree();
    let read = start.elapsed();
    for n in 0..100 {
        tree.digest(&[format!("workers/w{}", n % 50).into(), "package.json".into()]);
    }
    tree.digest(&[PathBuf::new()]);
    let digests = start.elapsed() - read;
    eprintln!("git {git:?}, Tree::read {read:?}, 101 digests {digests:?}");
    assert!((read + digests).saturating_sub(git).as_secs_f64() < 1.0);
}
