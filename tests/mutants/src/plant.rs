//! Plants all mutants of a file at once: the changed text behaves like the original until one of them is
//! switched on by its number. So all are compiled together, once.

use crate::list::{Listed, Mutant, Place, is_for_tests};
use proc_macro2::{LineColumn, Span};
use std::collections::BTreeMap;
use std::ops::Range;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Block, Expr, Stmt};

/// Where texts that meet at one place go: what ends before what begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    After,
    Before,
    Instead,
}

struct Edit {
    range: Range<usize>,
    kind: Kind,
    depth: usize,
    text: String,
    mutants: Vec<u32>,
}

/// A planted file: its text, and which bytes belong to which mutants.
pub struct Planted {
    pub text: String,
    pub extents: Vec<(Range<usize>, Vec<u32>)>,
    /// Of cargo-mutants' list, what has no place here.
    pub unplanted: Vec<String>,
}

struct Planter<'a> {
    file: &'a str,
    source: &'a str,
    listed: BTreeMap<(String, Place), Vec<Listed>>,
    next: u32,
    /// Those that did not compile.
    left_out: &'a [u32],
    depth: usize,
    function: String,
    edits: Vec<Edit>,
    mutants: Vec<Mutant>,
}

/// Plants what cargo-mutants lists for a file, and removals of its checks; numbers start at `first`.
pub fn plant(
    file: &str,
    source: &str,
    listed: BTreeMap<(String, Place), Vec<Listed>>,
    first: u32,
    left_out: &[u32],
) -> Result<(Planted, Vec<Mutant>), String> {
    let tree = syn::parse_file(source).map_err(|error| format!("{file}: {error}"))?;
    let mut planter = Planter {
        file,
        source,
        listed,
        next: first,
        left_out,
        depth: 0,
        function: String::new(),
        edits: Vec::new(),
        mutants: Vec::new(),
    };
    planter.visit_file(&tree);
    let unplanted =
        planter.listed.into_values().flatten().map(|one| format!("{file}: {}", one.name)).collect();
    let mut edits = planter.edits;
    edits.sort_by_key(|edit| {
        let at = if edit.kind == Kind::After { edit.range.end } else { edit.range.start };
        // the inner ends first and begins last
        let depth = if edit.kind == Kind::After { usize::MAX - edit.depth } else { edit.depth };
        (at, edit.kind, depth)
    });
    let (mut text, mut extents, mut copied) = (String::new(), Vec::new(), 0);
    for edit in edits {
        text.push_str(source.get(copied..edit.range.start).ok_or("edits overlap")?);
        extents.push((text.len()..text.len() + edit.text.len(), edit.mutants));
        text.push_str(&edit.text);
        copied = edit.range.end;
    }
    text.push_str(source.get(copied..).unwrap_or_default());
    Ok((Planted { text, extents, unplanted }, planter.mutants))
}

const ON: &str = "crate::mutant::on";

fn place(at: LineColumn) -> Place {
    Place { line: at.line, column: at.column + 1 }
}

impl Planter<'_> {
    fn text(&self, span: Span) -> String {
        let text = self.source.get(span.byte_range()).unwrap_or_default();
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join(" ")
    }

    /// Takes what cargo-mutants lists at a place.
    fn take(&mut self, genre: &str, span: Span) -> Vec<Listed> {
        self.listed.remove(&(genre.to_owned(), place(span.start()))).unwrap_or_default()
    }

    /// Numbers a mutant. `None` if it is one that did not compile.
    fn add(&mut self, span: Span, what: impl Into<String>) -> Option<u32> {
        let (id, line) = (self.next, span.start().line);
        self.next += 1;
        let source = self.source.lines().nth(line - 1).unwrap_or_default().trim().to_owned();
        let what = what.into();
        let alike = |other: &&Mutant| other.what == what && other.source == source;
        let nth = self.mutants.iter().filter(alike).count();
        self.mutants.push(Mutant { id, file: self.file.to_owned(), line, what, source, nth });
        (!self.left_out.contains(&id)).then_some(id)
    }

    fn add_listed(&mut self, span: Span, one: &Listed) -> Option<u32> {
        // "file:line:column: words"
        let what = one.name.splitn(4, ':').nth(3).unwrap_or(&one.name).trim().to_owned();
        self.add(span, what)
    }

    fn edit(&mut self, range: Range<usize>, kind: Kind, text: String, mutants: &[u32]) {
        self.edits.push(Edit { range, kind, depth: self.depth, text, mutants: mutants.to_vec() });
    }

    fn around(&mut self, span: Span, before: String, after: String, mutants: &[u32]) {
        let Range { start, end } = span.byte_range();
        self.edit(start..start, Kind::Before, before, mutants);
        self.edit(end..end, Kind::After, after, mutants);
    }

    fn instead(&mut self, span: Span, text: String, mutants: &[u32]) {
        self.edit(span.byte_range(), Kind::Instead, text, mutants);
    }

    fn function(&mut self, signature: &syn::Signature, body: &Block) {
        let outer = std::mem::replace(&mut self.function, signature.ident.to_string());
        // a hidden type is that of the first value that is returned
        let hidden = matches!(&signature.output, syn::ReturnType::Type(_, kind) if matches!(**kind, syn::Type::ImplTrait(_)));
        if let Some(first) = body.stmts.first().filter(|_| !hidden) {
            let at = body.brace_token.span.open().byte_range().end;
            for one in self.take("FnValue", first.span()) {
                if let Some(id) = self.add_listed(first.span(), &one) {
                    let text = format!(" if {ON}({id}) {{ return {}; }}", one.replacement);
                    self.edit(at..at, Kind::Instead, text, &[id]);
                }
            }
        }
        self.depth += 1;
        visit::visit_block(self, body);
        self.depth -= 1;
        self.function = outer;
    }

    /// The last value of a function that answers `Result<(), …>` is a check too.
    fn last_check(&mut self, output: &syn::ReturnType, body: &Block) {
        let syn::ReturnType::Type(_, kind) = output else { return };
        let (Some(Stmt::Expr(last, None)), true) = (body.stmts.last(), body.stmts.len() > 1) else { return };
        let is_call = matches!(last, Expr::Call(call) if !matches!(&*call.func, Expr::Path(path) if path.path.is_ident("Ok") || path.path.is_ident("Err")))
            || matches!(last, Expr::MethodCall(_));
        if !is_call || !self.text(kind.span()).starts_with("Result<()") {
            return;
        }
        let words = format!("remove the last check of {}: {}", self.function, short(&self.text(last.span())));
        if let Some(id) = self.add(last.span(), words) {
            self.around(last.span(), format!("if !{ON}({id}) {{ "), " } else { Ok(()) }".to_owned(), &[id]);
        }
    }

    fn binary(&mut self, binary: &syn::ExprBinary) {
        let operator = self.text(binary.op.span());
        let mut ids = Vec::new();
        for one in self.take("BinaryOperator", binary.op.span()) {
            // `||` in a chain with `let` can be compiled by nobody: that is no mutant
            if has_let(&binary.left) || has_let(&binary.right) {
                continue;
            }
            if let Some(id) = self.add_listed(binary.op.span(), &one) {
                ids.push((id, one.replacement));
            }
        }
        let Some((first, _)) = ids.first() else { return };
        let first = *first;
        let mutants: Vec<u32> = ids.iter().map(|(id, _)| *id).collect();
        let choose = |left: &str, right: &str| {
            let other = |(id, operator): &(u32, String)| {
                format!("if {ON}({id}) {{ {left} {operator} {right} }} else ")
            };
            format!("{}{{ {left} {operator} {right} }}", ids.iter().map(other).collect::<String>())
        };
        let (left, right) = (binary.left.span(), binary.right.span());
        match operator.as_str() {
            "&&" | "||" => {
                let test = if operator == "&&" { "!=" } else { "==" };
                self.around(
                    left,
                    "({ let __mutant_l: bool = ".to_owned(),
                    format!("; if __mutant_l {test} {ON}({first}) {{ "),
                    &mutants,
                );
                self.instead(binary.op.span(), String::new(), &mutants);
                let end = right.byte_range().end;
                self.edit(end..end, Kind::After, " } else { __mutant_l } })".to_owned(), &mutants);
            }
            "==" | "!=" => {
                self.around(left, "((".to_owned(), String::new(), &mutants);
                let end = right.byte_range().end;
                self.edit(end..end, Kind::After, format!(") ^ {ON}({first}))"), &mutants);
            }
            "<" | ">" | "<=" | ">=" => {
                self.around(left, "(match (&(".to_owned(), String::new(), &mutants);
                self.instead(binary.op.span(), "), &(".to_owned(), &mutants);
                let text = format!(
                    ")) {{ (__mutant_l, __mutant_r) => {{ {} }} }})",
                    choose("__mutant_l", "__mutant_r")
                );
                let end = right.byte_range().end;
                self.edit(end..end, Kind::After, text, &mutants);
            }
            _ if operator.ends_with('=') => {
                let target = self.text(left);
                let start = left.byte_range().start;
                let range = start..right.byte_range().start;
                self.edit(range, Kind::Instead, "{ let __mutant_r = ".to_owned(), &mutants);
                let end = right.byte_range().end;
                self.edit(end..end, Kind::After, format!("; {} }}", choose(&target, "__mutant_r")), &mutants);
            }
            _ => {
                self.around(left, "(match ((".to_owned(), String::new(), &mutants);
                self.instead(binary.op.span(), "), (".to_owned(), &mutants);
                let text = format!(
                    ")) {{ (__mutant_l, __mutant_r) => {{ {} }} }})",
                    choose("__mutant_l", "__mutant_r")
                );
                let end = right.byte_range().end;
                self.edit(end..end, Kind::After, text, &mutants);
            }
        }
    }

    fn unary(&mut self, unary: &syn::ExprUnary) {
        for one in self.take("UnaryOperator", unary.op.span()) {
            let Some(id) = self.add_listed(unary.op.span(), &one) else { continue };
            let end = unary.expr.span().byte_range().end;
            if matches!(unary.op, syn::UnOp::Not(_)) {
                self.instead(unary.op.span(), "((".to_owned(), &[id]);
                self.edit(end..end, Kind::After, format!(") ^ !{ON}({id}))"), &[id]);
            } else {
                self.instead(unary.op.span(), "(match (".to_owned(), &[id]);
                let text =
                    format!(") {{ __mutant_l => if {ON}({id}) {{ __mutant_l }} else {{ -__mutant_l }} }})");
                self.edit(end..end, Kind::After, text, &[id]);
            }
        }
    }

    fn arm(&mut self, arm: &syn::Arm) {
        let mut ids = Vec::new();
        let mut conditions = String::new();
        for one in self.take("MatchArm", arm.span()) {
            if let Some(id) = self.add_listed(arm.span(), &one) {
                conditions = format!("!{ON}({id})");
                ids.push(id);
            }
        }
        let Some((_, guard)) = &arm.guard else {
            if !conditions.is_empty() {
                let end = arm.pat.span().byte_range().end;
                self.edit(end..end, Kind::After, format!(" if {conditions}"), &ids);
            }
            return;
        };
        let (mut always, mut never) = (String::new(), String::new());
        for one in self.take("MatchArmGuard", guard.span()) {
            if let Some(id) = self.add_listed(guard.span(), &one) {
                ids.push(id);
                match one.replacement.as_str() {
                    "true" => always = format!("{ON}({id}) || "),
                    _ => never = format!("!{ON}({id}) && "),
                }
            }
        }
        if !ids.is_empty() {
            let and = if conditions.is_empty() { String::new() } else { format!("{conditions} && ") };
            self.around(guard.span(), format!("{and}({always}({never}("), ")))".to_owned(), &ids);
        }
    }

    fn fields(&mut self, whole: &syn::ExprStruct) {
        let mut ids = Vec::new();
        let mut before = String::new();
        for field in &whole.fields {
            for one in self.take("StructField", field.span()) {
                if let Some(id) = self.add_listed(field.span(), &one) {
                    let others = whole
                        .fields
                        .iter()
                        .filter(|other| other.span().byte_range() != field.span().byte_range());
                    let others: String =
                        others.map(|other| format!("{}, ", self.text(other.span()))).collect();
                    let rest = whole.rest.as_ref().map(|rest| self.text(rest.span())).unwrap_or_default();
                    let name = self.text(whole.path.span());
                    before.push_str(&format!("if {ON}({id}) {{ {name} {{ {others}..{rest} }} }} else "));
                    ids.push(id);
                }
            }
        }
        if !ids.is_empty() {
            self.around(whole.span(), format!("({before}{{ "), " })".to_owned(), &ids);
        }
    }

    /// A statement that can only refuse: without it nothing else changes.
    fn removable(&self, statement: &Stmt) -> bool {
        match statement {
            Stmt::Expr(Expr::Try(_), Some(_)) => true,
            Stmt::Expr(Expr::If(branch), _) if branch.else_branch.is_none() => {
                branch.then_branch.stmts.last().is_some_and(|last| {
                    matches!(last, Stmt::Expr(Expr::Return(_) | Expr::Continue(_) | Expr::Break(_), _))
                })
            }
            _ => false,
        }
    }

    /// `filter(|x| …)` and its like: the condition lets everything through.
    fn condition(&mut self, call: &syn::ExprMethodCall) {
        let method = call.method.to_string();
        if !matches!(method.as_str(), "filter" | "is_some_and" | "is_ok_and" | "is_none_or" | "all" | "any") {
            return;
        }
        let Some(Expr::Closure(closure)) = call.args.first() else { return };
        let body = closure.body.span();
        let words = format!("let everything through `{method}` in {}", self.function);
        if let Some(id) = self.add(body, words) {
            self.around(body, format!("{ON}({id}) || ("), ")".to_owned(), &[id]);
        }
    }
}

/// A chain with `let` knows no operator but `&&`.
fn has_let(expression: &Expr) -> bool {
    match expression {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

fn short(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    if text.chars().count() > 60 { format!("{}…", text.chars().take(60).collect::<String>()) } else { text }
}

impl<'ast> Visit<'ast> for Planter<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if item.sig.constness.is_none() && !is_for_tests(&item.attrs) {
            let outer = std::mem::replace(&mut self.function, item.sig.ident.to_string());
            self.last_check(&item.sig.output, &item.block);
            self.function(&item.sig, &item.block);
            self.function = outer;
        }
    }
    /// What `Debug` shows is for people who look for mistakes; no behaviour hangs on it.
    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let name = item.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
        if name.is_none_or(|name| name.ident != "Debug") {
            visit::visit_item_impl(self, item);
        }
    }
    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if item.sig.constness.is_none() && !is_for_tests(&item.attrs) {
            let outer = std::mem::replace(&mut self.function, item.sig.ident.to_string());
            self.last_check(&item.sig.output, &item.block);
            self.function(&item.sig, &item.block);
            self.function = outer;
        }
    }
    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.sig, body);
        }
    }
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}
    fn visit_pat(&mut self, _: &'ast syn::Pat) {}

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        if self.removable(statement) {
            let words = format!("remove from {}: {}", self.function, short(&self.text(statement.span())));
            if let Some(id) = self.add(statement.span(), words) {
                self.around(statement.span(), format!("if !{ON}({id}) {{ "), " }".to_owned(), &[id]);
            }
        }
        self.depth += 1;
        visit::visit_stmt(self, statement);
        self.depth -= 1;
    }

    fn visit_expr(&mut self, expression: &'ast Expr) {
        self.depth += 1;
        match expression {
            Expr::Binary(binary) => {
                self.binary(binary);
                let assigns = self.text(binary.op.span());
                self.depth += 1;
                let assigns =
                    assigns.ends_with('=') && !matches!(assigns.as_str(), "==" | "!=" | "<=" | ">=");
                if !assigns {
                    self.visit_expr(&binary.left);
                }
                self.visit_expr(&binary.right);
                self.depth -= 1;
            }
            Expr::Unary(unary) => self.unary(unary),
            Expr::Struct(whole) => self.fields(whole),
            Expr::MethodCall(call) => self.condition(call),
            _ => {}
        }
        if !matches!(expression, Expr::Binary(_)) {
            self.depth += 1;
            visit::visit_expr(self, expression);
            self.depth -= 1;
        }
        self.depth -= 1;
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        self.arm(arm);
        self.depth += 1;
        visit::visit_arm(self, arm);
        self.depth -= 1;
    }
}
