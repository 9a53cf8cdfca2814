//! What does a presentation say?
//!
//! Its slides in the order in which they are shown, a section for each: the title as heading, then what its shapes say, its tables, and
//! its speaker's notes as items.

use crate::markdown::{Markdown, one_line};
use crate::package::{Package, beside, relations_of};
use crate::xml::{Step, relations, walk};
use crate::{Kind, Limits, Refusal};

const KIND: Kind = Kind::Pptx;
const PRESENTATION: &str = "ppt/presentation.xml";

pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Markdown, Refusal> {
    let mut package = Package::open(KIND, bytes, limits)?;
    let presentation = package.needed(PRESENTATION)?;
    let mut ids = Vec::new();
    walk(KIND, &presentation, limits, |step| {
        if let Step::Start("sldId", attributes) = step
            && let Some(id) = attributes.named("r:id")
        {
            ids.push(id);
        }
        Ok(())
    })?;
    let targets = relations(KIND, &package.needed(&relations_of(PRESENTATION))?, limits)?;
    let mut out = Markdown::new(limits);
    for (number, id) in ids.iter().enumerate() {
        out.page()?;
        let target = targets.iter().find(|relation| relation.id == *id);
        let target = target.ok_or_else(|| Refusal::broken(KIND, "a slide is named and not there"))?;
        let part = beside(PRESENTATION, &target.target);
        let slide = shapes(&package.needed(&part)?, limits)?;
        let title = slide.iter().find(|shape| shape.is_title).map(|shape| one_line(&shape.text()));
        let title = title.filter(|title| !title.is_empty());
        out.heading(2, &title.unwrap_or_else(|| format!("Slide {}", number + 1)))?;
        for shape in slide.iter().filter(|shape| !shape.is_title) {
            shape.write(&mut out)?;
        }
        let Some(of_slide) = package.text(&relations_of(&part))? else { continue };
        let of_slide = relations(KIND, &of_slide, limits)?;
        if let Some(notes) = of_slide.iter().find(|relation| relation.kind.ends_with("/notesSlide"))
            && let Some(notes) = package.text(&beside(&part, &notes.target))?
        {
            let notes = shapes(&notes, limits)?;
            let said = notes.iter().filter(|shape| shape.is_body).map(Shape::text);
            for text in said.filter(|text| !text.trim().is_empty()) {
                out.item(0, &format!("Notes: {text}"))?;
            }
        }
    }
    Ok(out)
}

/// What one shape says.
#[derive(Default)]
struct Shape {
    is_title: bool,
    is_body: bool,
    /// A number, date or footer, which every slide repeats.
    is_furniture: bool,
    paragraphs: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Shape {
    fn text(&self) -> String {
        self.paragraphs.join("\n")
    }

    fn write(&self, out: &mut Markdown) -> Result<(), Refusal> {
        for paragraph in &self.paragraphs {
            out.paragraph(paragraph)?;
        }
        for row in &self.rows {
            out.row(row)?;
        }
        out.end_table();
        Ok(())
    }
}

/// The shapes of a slide, in the order in which they lie on it.
fn shapes(slide: &str, limits: &Limits) -> Result<Vec<Shape>, Refusal> {
    let mut found: Vec<Shape> = Vec::new();
    let (mut in_text, mut in_cell, mut hidden) = (false, false, 0_usize);
    walk(KIND, slide, limits, |step| {
        match step {
            Step::Start("Fallback", _) => hidden += 1,
            Step::End("Fallback") => hidden = hidden.saturating_sub(1),
            _ if hidden > 0 => {}
            Step::Start("sp" | "graphicFrame", _) => found.push(Shape::default()),
            Step::Start("ph", attributes) => {
                if let (Some(shape), Some(kind)) = (found.last_mut(), attributes.get("type")) {
                    shape.is_title = matches!(kind.as_str(), "title" | "ctrTitle");
                    shape.is_body = kind == "body";
                    shape.is_furniture = matches!(kind.as_str(), "sldNum" | "dt" | "ftr" | "hdr");
                }
            }
            Step::Start("tr", _) => {
                found.last_mut().into_iter().for_each(|shape| shape.rows.push(Vec::new()))
            }
            Step::Start("tc", _) => {
                in_cell = true;
                let row = found.last_mut().and_then(|shape| shape.rows.last_mut());
                row.into_iter().for_each(|row| row.push(String::new()));
            }
            Step::End("tc") => in_cell = false,
            Step::Start("p", _) if !in_cell => {
                found.last_mut().into_iter().for_each(|shape| shape.paragraphs.push(String::new()));
            }
            Step::Start("t", _) => in_text = true,
            Step::End("t") => in_text = false,
            Step::Start("br", _) => add(&mut found, in_cell, "\n"),
            Step::End("p") if in_cell => add(&mut found, true, "\n"),
            Step::Text(text) if in_text => add(&mut found, in_cell, text),
            _ => {}
        }
        Ok(())
    })?;
    found.retain(|shape| !shape.is_furniture);
    Ok(found)
}

fn add(found: &mut [Shape], in_cell: bool, text: &str) {
    let Some(shape) = found.last_mut() else { return };
    let to = if in_cell {
        shape.rows.last_mut().and_then(|row| row.last_mut())
    } else {
        shape.paragraphs.last_mut()
    };
    to.into_iter().for_each(|to| to.push_str(text));
}
