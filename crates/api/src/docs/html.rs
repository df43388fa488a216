//! Writing HTML: all text goes through [`Html::text`], which escapes it.

/// A piece of HTML being written.
#[derive(Default)]
pub(super) struct Html(String);

impl Html {
    /// Markup of our own, as it is.
    pub fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text of any origin.
    pub fn text(&mut self, text: &str) -> &mut Self {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                other => self.0.push(other),
            }
        }
        self
    }

    /// An element that holds text alone, such as `code`.
    pub fn element(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.raw("<").raw(name).raw(">").text(text).raw("</").raw(name).raw(">")
    }

    /// A block of code.
    pub fn code(&mut self, text: &str) -> &mut Self {
        self.raw("<pre><code>").text(text).raw("</code></pre>\n")
    }

    /// A table; the first cell of each row is code.
    pub fn table<const N: usize>(&mut self, heads: [&str; N], rows: &[[String; N]]) -> &mut Self {
        self.raw("<table><thead><tr>");
        for head in heads {
            self.element("th", head);
        }
        self.raw("</tr></thead><tbody>\n");
        for row in rows {
            self.raw("<tr>");
            for (column, cell) in row.iter().enumerate() {
                self.raw("<td>").element(if column == 0 { "code" } else { "span" }, cell).raw("</td>");
            }
            self.raw("</tr>\n");
        }
        self.raw("</tbody></table>\n")
    }

    /// What was written.
    pub fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let mut html = Html::default();
        html.element("p", "<script>alert('\"&')</script>");
        assert_eq!(html.finish(), "<p>&lt;script&gt;alert(&#39;&quot;&amp;&#39;)&lt;/script&gt;</p>");
    }
}
