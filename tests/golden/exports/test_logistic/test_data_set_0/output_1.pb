
output_probability2C"setosa"
versicolor"	virginica* JÅ|?Jküz<J•9Ö32C"setosa"
versicolor"	virginica* Jˆˇ|?J≥@<J842C"setosa"
versicolor"	virginica* J™|?J_y<J)‹r32C"setosa"
versicolor"	virginica* JÌ1?JRN;JˇQo22C"setosa"
versicolor"	virginica* J"+s?JéMM=Jœ¬∂42C"setosa"
versicolor"	virginica* Jbik?Jç¥§=JΩE52C"setosa"
versicolor"	virginica* J¿‚u?Jõ”!=Já>¥42C"setosa"
versicolor"	virginica* J‚qx?JÜ√Ò<JPﬂ4