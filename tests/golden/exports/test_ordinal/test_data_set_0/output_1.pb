
output_probability2C"setosa"
versicolor"	virginica* JพCข>Jผ…่>Jmj>2C"setosa"
versicolor"	virginica* J๗Eฅ>Jืน>J2งก>2C"setosa"
versicolor"	virginica* JD\>J2B€>Ja๓>2C"setosa"
versicolor"	virginica* J5ษ>Jฏ^>Jธk>2C"setosa"
versicolor"	virginica* JพCข>Jผ…่>Jmj>2C"setosa"
versicolor"	virginica* J๗Eฅ>Jืน>J2งก>2C"setosa"
versicolor"	virginica* JD\>J2B€>Ja๓>2C"setosa"
versicolor"	virginica* J5ษ>Jฏ^>Jธk>